/**
 * Words that guessing begins with and that people hang digits and signs on: those are taken off before the comparison, so `Password2026!`
 * is `password`. Chosen by hand, in English and French, beside the long list of what people really chose: that one has little French.
 */
const words = `
password passwort motdepasse motdepass passw0rd pa55word p4ssword p@ssword p@ssw0rd passpass passphrase mypassword newpassword
changeme changeit changethis letmein letmeinnow letmeinplease openup opensesame welcome welcomeback welcomehome bienvenue bonjour
bonjourmonde bonsoir hellohello helloworld hello iloveyou iloveu ilovejesus ilovegod lovelove loveyou loveme jetaime jtaime
jetaimetrop monamour moncoeur amourtoujours toujours pourtoujours forever foreverlove princess princesse prince charming superman
supergirl spiderman batman ironman wonderwoman starwars starwar startrek matrix pokemon dragonball dragon dragons football footballeur
footbal basketball baseball softball hockey tennis olympique olympiquemarseille parissg parissaintgermain marseille bordeaux lyon
toulouse france vivelafrance liberte canada montreal quebec belgique bruxelles london england america newyork chicago california texas
barcelona realmadrid juventus chelsea arsenal liverpool manchester manunited sunshine sunflower moonlight starlight rainbow butterfly
papillon flower flowers chocolate chocolat caramel bonbon cookie cupcake pancake soleil lumiere etoile etoiles liberty freedom secret
secrets topsecret private access accessgranted admin administrator administrateur adminadmin admin123admin superadmin superuser rootroot
rootpass system manager master masterkey mastermind login logintest signin guest guestguest visitor utilisateur user username useruser
test testtest testing testuser testpass testpassword tester demo demodemo demouser example exemple default defaultpassword sample
temporary temppass temppassword azerty azertyuiop azertyui qwertyui qwerty qwertyuiop qwertz qwertzuiop asdfasdf asdfgh asdfghjk
asdfghjkl qsdfghjk qsdfghjklm zxcvbnm zxcvbn wxcvbn qazwsx qazwsxedc qweasd qweasdzxc qweqwe qwerqwer abcabc abcabcabc abcdef abcdefg
abcdefgh abcdefghi abcd abcdabcd aaaaaaaa aabbccdd trustno trustnoone whatever whatsapp facebook instagram google googlegoogle youtube
linkedin twitter microsoft windows samsung iphone android computer ordinateur internet network server database security securite
michael jennifer jessica jonathan christopher alexander alexandre elizabeth nicolas sebastien stephanie charlotte patricia
victoria samantha monkey monkeymonkey mustang ferrari porsche mercedes corvette yamaha harley shadow killer hunter ranger
soldier warrior phoenix thunder lightning midnight blackjack fuckyou fuckoff asshole bullshit putain connard salope parley
parleyparley`
  .trim()
  .split(/\s+/)

const stems = new Set(words.map((word) => word.toLowerCase()))

/**
 * True for a common password: one of `common` (in lower case) or of the words above, also with digits and signs before or behind, or one
 * character or a short run over and over.
 */
export function isCommon(password: string, common: ReadonlySet<string>): boolean {
  const text = password.toLowerCase()
  const bare = text.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '')
  return common.has(text) || common.has(bare) || stems.has(bare) || repeats(text) || runs(text)
}

/** `abcabcabc`, `11111111`: up to four characters, again and again. */
const repeats = (text: string) => /^(.{1,4})\1+$/su.test(text)

const rows = ['01234567890', 'abcdefghijklmnopqrstuvwxyz', 'qwertyuiop', 'azertyuiop', 'asdfghjkl', 'qsdfghjklm']
const bothWays = rows.flatMap((row) => [row, row.split('').toReversed().join('')]).map((row) => row.repeat(3))

/** A stretch of the keyboard, the digits or the alphabet, once or over again: `12345678`, `123456789012`. */
function runs(text: string): boolean {
  return bothWays.some((row) => row.includes(text))
}
