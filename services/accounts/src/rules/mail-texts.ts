/** What mail of ours says, in English and French. Subjects name nobody and nothing secret: they are shown on locked screens. */
export type MailLanguage = 'en' | 'fr'

/** French for any French, English for everybody else. */
export const languageOf = (locale: string | null | undefined): MailLanguage => (/^fr\b/i.test(locale ?? '') ? 'fr' : 'en')

export interface MailText {
  subject: string
  text: string
}

/** How a link is written: a page for people, and what may be typed instead of following it. */
export interface Link {
  url: string
  code: string
  minutes: number
}

const link = (language: MailLanguage, { url, code, minutes }: Link) =>
  language === 'fr'
    ? `${url}\n\nCode : ${code}\n\nCe lien fonctionne une seule fois, pendant ${minutes} minutes.`
    : `${url}\n\nCode: ${code}\n\nThis link works once, for ${minutes} minutes.`

/** Somebody who asks for a link to another's address and then for the code on the telephone is the thief that is left. */
const onlyThere = {
  en: 'Reading this on another device? Type the code where you asked for the link, and give it to nobody.',
  fr: 'Vous lisez ceci sur un autre appareil ? Saisissez le code là où vous avez demandé le lien, et ne le donnez à personne.',
}

const unasked = {
  en: 'If it was not you, ignore this message: nothing happens.',
  fr: "Si ce n'était pas vous, ignorez ce message : il ne se passera rien.",
}

export function signUpMail(language: MailLanguage, to: Link): MailText {
  return language === 'fr'
    ? {
        subject: 'Confirmez votre adresse e-mail',
        text: `Bienvenue chez Parley. Pour confirmer votre adresse et ouvrir votre compte :\n\n${link(language, to)}\n\n${unasked.fr}`,
      }
    : {
        subject: 'Confirm your e-mail address',
        text: `Welcome to Parley. To confirm your address and open your account:\n\n${link(language, to)}\n\n${unasked.en}`,
      }
}

/** Somebody signed up with an address that has an account; who asked is told the same as everybody. */
export function alreadyHereMail(language: MailLanguage, signInUrl: string): MailText {
  return language === 'fr'
    ? {
        subject: 'Vous avez déjà un compte',
        text: `Quelqu'un, vous sans doute, a voulu créer un compte Parley avec cette adresse, qui en a déjà un. Connectez-vous, avec un lien par e-mail si vous avez oublié le mot de passe :\n\n${signInUrl}\n\n${unasked.fr}`,
      }
    : {
        subject: 'You already have an account',
        text: `Somebody, probably you, tried to open a Parley account with this address, which has one. Sign in, with a link by e-mail if you forgot the password:\n\n${signInUrl}\n\n${unasked.en}`,
      }
}

export function magicLinkMail(language: MailLanguage, to: Link): MailText {
  return language === 'fr'
    ? {
        subject: 'Votre lien de connexion',
        text: `Pour vous connecter à Parley :\n\n${link(language, to)}\n\n${onlyThere.fr}\n\n${unasked.fr}`,
      }
    : { subject: 'Your sign-in link', text: `To sign in to Parley:\n\n${link(language, to)}\n\n${onlyThere.en}\n\n${unasked.en}` }
}

export function passwordResetMail(language: MailLanguage, to: Link): MailText {
  return language === 'fr'
    ? {
        subject: 'Choisir un nouveau mot de passe',
        text: `Pour choisir un nouveau mot de passe :\n\n${link(language, to)}\n\n${unasked.fr}`,
      }
    : { subject: 'Choose a new password', text: `To choose a new password:\n\n${link(language, to)}\n\n${unasked.en}` }
}

export function emailChangeMail(language: MailLanguage, to: Link): MailText {
  return language === 'fr'
    ? {
        subject: 'Confirmez votre nouvelle adresse',
        text: `Pour vous connecter désormais avec cette adresse :\n\n${link(language, to)}\n\n${unasked.fr}`,
      }
    : {
        subject: 'Confirm your new address',
        text: `To sign in with this address from now on:\n\n${link(language, to)}\n\n${unasked.en}`,
      }
}

/** Something about signing in changed: told to the address that had the say until then. */
export type SecurityChange = 'password_changed' | 'email_changed' | 'two_factor_on' | 'two_factor_off' | 'token_reused'

const changes: Record<SecurityChange, Record<MailLanguage, [subject: string, what: string]>> = {
  password_changed: {
    en: ['Your password was changed', 'The password of your Parley account was changed.'],
    fr: ['Votre mot de passe a été changé', 'Le mot de passe de votre compte Parley a été changé.'],
  },
  email_changed: {
    en: ['Your e-mail address was changed', 'You now sign in to Parley with another e-mail address.'],
    fr: ['Votre adresse e-mail a été changée', 'Vous vous connectez désormais à Parley avec une autre adresse.'],
  },
  two_factor_on: {
    en: ['Two-factor sign-in is on', 'From now on a code is asked for when you sign in.'],
    fr: ['La double authentification est activée', 'Un code vous sera désormais demandé à la connexion.'],
  },
  two_factor_off: {
    en: ['Two-factor sign-in is off', 'A code is no longer asked for when you sign in.'],
    fr: ['La double authentification est désactivée', 'Un code ne vous est plus demandé à la connexion.'],
  },
  token_reused: {
    en: [
      'A session of yours was ended',
      'A key of one of your sessions was used twice, so somebody may have a copy of it. The session was ended.',
    ],
    fr: [
      'Une de vos sessions a été fermée',
      "Une clé d'une de vos sessions a servi deux fois : quelqu'un en a peut-être une copie. La session a été fermée.",
    ],
  },
}

export function securityMail(language: MailLanguage, change: SecurityChange, resetUrl: string): MailText {
  const [subject, what] = changes[change][language]
  const then =
    language === 'fr'
      ? `Si ce n'était pas vous, choisissez tout de suite un nouveau mot de passe :\n\n${resetUrl}`
      : `If it was not you, choose a new password at once:\n\n${resetUrl}`
  return { subject, text: `${what}\n\n${then}` }
}
