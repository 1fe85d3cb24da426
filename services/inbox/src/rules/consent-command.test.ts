import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { commandLanguages, consentCommand } from './consent-command.ts'
import { type ConsentNotice, consentWording } from './consent-wording.ts'

const kindOf = (text: string) => consentCommand(text).kind

describe('a consent command', () => {
  test.each([
    ['supprimer', 'erase'],
    ['SUPPRIMER !', 'erase'],
    ['  Supprimér  ', 'erase'],
    ['« SUPPRIMER »', 'erase'],
    ['S U P P R I M E R', 'erase'],
    ['sup\u200bprimer', 'erase'],
    ['\ufeffsupprimer\u2060.', 'erase'],
    ['ＳＵＰＰＲＩＭＥＲ', 'erase'],
    ['supprime\u0301r', 'erase'],
    ['Delete my data.', 'erase'],
    ['احذف بياناتي', 'erase'],
    ['STOP', 'stop'],
    ['stop 🛑', 'stop'],
    ['🛑', 'stop'],
    ['cancel', 'stop'],
    ['S.T.O.P', 'stop'],
    ['Stop pub', 'stop'],
    ['ARRÊT', 'stop'],
    ['arret', 'stop'],
    ['Arre\u0302t\n', 'stop'],
    ['unsubscribe', 'stop'],
    ['Désabonner', 'stop'],
    ['baja', 'stop'],
    ['إيقاف', 'stop'],
    ['توقّف', 'stop'],
    ['START', 'start'],
    ['démarrer', 'start'],
    ['ابدأ', 'start'],
  ])('%j is %s, however it is written', (text, kind) => {
    expect(kindOf(text)).toBe(kind)
  })

  test.each([
    'ne pas supprimer',
    'Ne pas SUPPRIMER !',
    'Je veux supprimer mes données',
    'je veux sup\u200bprimer mes don\u00adnées',
    'supprimer mon compte et ma commande',
    'SUPPRIMER ?',
    'supprimer svp',
    'please delete my personal information',
    'quiero borrar mis datos por favor',
    'delete',
  ])('%j asks back and erases nothing', (text) => {
    expect(kindOf(text)).toBe('ask')
  })

  test.each([
    'Peux-tu supprimer le deuxième article de ma commande ?',
    'supprimer 2 boîtes',
    'please delete this item from my cart',
    'stop envoyez plutôt mardi',
    'je ne peux pas m’arrêter de tousser',
    'on peut commencer ?',
    'stop 2',
    '',
    '…',
  ])('%j is no command: the agent answers it', (text) => {
    expect(kindOf(text)).toBe('none')
  })

  test('asking about data is told apart from the bare word in other words', () => {
    expect(consentCommand('supprimer mes données')).toMatchObject({ kind: 'ask', aboutData: true })
    expect(consentCommand('ne pas supprimer')).toMatchObject({ kind: 'ask', aboutData: false })
  })

  test('words around SUPPRIMER never erase, whatever they are', () => {
    const word = fc.stringMatching(/^[a-zé]{1,12}$/)
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 6 }), fc.nat(6), (words, at) => {
        const text = [...words.slice(0, at), 'supprimer', ...words.slice(at)].join(' ')
        expect(kindOf(text)).not.toBe('erase')
      }),
    )
  })

  test('case, spaces, punctuation and invisible characters never change a command', () => {
    const noise = fc.array(
      fc.constantFrom(' ', '\u00a0', '\t', '\n', '.', '!', '-', '\u200b', '\u200d', '\ufeff', '\u00ad', '*', '"'),
      { maxLength: 4 },
    )
    const letters = 'supprimer'.split('')
    fc.assert(
      fc.property(
        fc.array(noise, { minLength: 10, maxLength: 10 }),
        fc.array(fc.boolean(), { minLength: 9, maxLength: 9 }),
        (gaps, upper) => {
          const text =
            letters.map((letter, i) => gaps[i]?.join('') + (upper[i] ? letter.toUpperCase() : letter)).join('') +
            gaps[9]?.join('')
          expect(kindOf(text)).toBe('erase')
        },
      ),
    )
  })

  test('any text gives an answer, quickly', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 5_000 }), (text) => void consentCommand(text)))
    expect(kindOf('supprimer '.repeat(5_000))).toBe('ask')
  })
})

test('every notice has words in every language', () => {
  for (const notice of ['stopped', 'started', 'erased', 'erase_question'] satisfies ConsentNotice[]) {
    for (const language of commandLanguages) expect(consentWording(notice, language).length).toBeGreaterThan(20)
  }
})

test('no notice is itself taken for a command', () => {
  for (const notice of ['stopped', 'started', 'erased'] satisfies ConsentNotice[]) {
    for (const language of commandLanguages) {
      expect(['stop', 'start', 'erase']).not.toContain(kindOf(consentWording(notice, language)))
    }
  }
})
