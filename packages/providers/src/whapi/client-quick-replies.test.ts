import { describe, expect, test } from 'vitest'
import { checkQuickReplies, readTypedChoice, typedFallback } from './client-quick-replies.ts'

const options = [
  { id: 'keep', title: 'Garder' },
  { id: 'swap', title: 'Échanger' },
  { id: 'refund', title: 'Être remboursé' },
]

describe('the typed fallback', () => {
  test('shows every choice with its number', () => {
    expect(typedFallback('Que souhaitez-vous ?', options)).toBe(
      'Que souhaitez-vous ?\n\n1. Garder\n2. Échanger\n3. Être remboursé',
    )
    expect(typedFallback('Bonjour', [])).toBe('Bonjour')
  })

  test.each([
    ['2', 'swap'],
    ['2.', 'swap'],
    [' 2) ', 'swap'],
    ['#2', 'swap'],
    ['2️⃣', 'swap'],
    ['٢', 'swap'],
    ['۲', 'swap'],
    ['２', 'swap'],
    ['échanger', 'swap'],
    ['ÉCHANGER !', 'swap'],
    ['E\u0301changer', 'swap'],
    ['« Échanger »', 'swap'],
    ['2. Échanger', 'swap'],
    ['3 être  remboursé', 'refund'],
  ])('reads %j as a choice', (typed, id) => {
    expect(readTypedChoice(typed, options)?.id).toBe(id)
  })

  test.each(['0', '4', '12', '', ' ', '2 articles', 'je veux échanger le 2', '1 ou 2', 'oui', '2.5', '-1'])(
    'does not guess at %j',
    (typed) => {
      expect(readTypedChoice(typed, options)).toBeUndefined()
    },
  )

  test('a title that is a number goes before the position', () => {
    const sizes = [
      { id: 'a', title: '2' },
      { id: 'b', title: '1' },
    ]
    expect(readTypedChoice('2', sizes)?.id).toBe('a')
  })

  test('a title that two choices share chooses neither', () => {
    const twins = [
      { id: 'a', title: 'Oui' },
      { id: 'b', title: 'oui' },
    ]
    expect(readTypedChoice('oui', twins)).toBeUndefined()
    expect(readTypedChoice('2', twins)?.id).toBe('b')
  })
})

test.each([
  [[], 'quickReplies: give 1 to 3'],
  [[...options, { id: 'x', title: 'X' }], 'quickReplies: give 1 to 3'],
  [[{ id: '', title: 'X' }], 'quickReplies[0].id'],
  [[{ id: 'x', title: '  ' }], 'quickReplies[0].title'],
  [[{ id: 'x', title: 'a'.repeat(26) }], 'quickReplies[0].title'],
  [[options[0], { id: 'keep', title: 'Other' }], 'quickReplies[1].id'],
] as [{ id: string; title: string }[], string][])(
  'buttons that WhatsApp would not take are refused by name: %j',
  (quickReplies, message) => {
    expect(() => checkQuickReplies(quickReplies)).toThrow(message)
  },
)
