import { describe, expect, test } from 'vitest'
import { findPromise } from './promises.ts'
import { languages, sentence } from './sentences.ts'

describe('what only code or a person may promise', () => {
  test.each([
    ['claims_approval', 'Your return has been approved.'],
    ['claims_approval', 'I have approved the refund for you!'],
    ['claims_approval', "Don't worry, your refund is approved."],
    ['claims_approval', 'No problem: the exchange request was accepted.'],
    ['claims_approval', 'Your return is not only accepted, it is on us.'],
    ['claims_approval', 'Votre demande de retour est acceptée.'],
    ['claims_approval', 'Su devolución ha sido aprobada.'],
    ['claims_approval', 'Ihre Rückgabe ist genehmigt.'],
    ['claims_approval', 'تمت الموافقة على طلبك'],
    ['claims_approval', 'تم قبول الإرجاع'],
    ['invented_discount', 'خصم ٩٠ بالمئة'],
    ['claims_approval', 'Your rеturn is аpproved.'],
    ['claims_refund', 'We will refund you in full.'],
    ['claims_refund', "I've just refunded your order."],
    ['claims_refund', 'The money is on its way.'],
    ['claims_refund', 'You will get your money back.'],
    ['claims_refund', 'If you send it back, we will refund it.'],
    ['claims_refund', 'Nous vous remboursons aujourd’hui.'],
    ['claims_refund', 'Vous serez remboursé sous peu.'],
    ['claims_refund', 'Le reembolsaremos mañana.'],
    ['claims_refund', 'Das wird Ihnen erstattet.'],
    ['invented_amount', 'That is 900 EUR.'],
    ['invented_amount', 'It costs €1,234.50'],
    ['invented_amount', 'Cela fait 15 000 FCFA'],
    ['invented_amount', 'السعر ٩٠٠ درهم'],
    ['invented_discount', 'I can give you 90 % off.'],
    ['invented_discount', 'Une remise de 15 pour cent vous attend.'],
    ['invented_code', 'Use the code SUMMER90 at checkout.'],
    ['invented_code', 'Votre code promo est lea-20'],
  ])('%s: %s', (rule, reply) => {
    expect(findPromise(reply, '')?.rule).toBe(rule)
  })
})

describe('what an agent may say', () => {
  test.each([
    'Hello! How can I help you today?',
    'I have noted that you would like to return something (1042).',
    'We cannot refund orders here, a colleague will look at it.',
    'Your return is not approved yet.',
    'Nous ne pouvons pas vous rembourser ici.',
    'Our shirts are 100 % cotton.',
    'Could you send me the order number and your postal code 75001?',
    "J'ai bien noté que vous souhaitez retourner un article.",
    'We are open from 9 to 18.',
    'Merci, bonne journée !',
  ])('%s', (reply) => {
    expect(findPromise(reply, '')).toBeNull()
  })
})

test('amounts, discounts and codes that the owner wrote may be repeated, others not', () => {
  const owner = 'Delivery costs 4,90 € and takes 3 days. New customers get 10% off with code HELLO10.'
  expect(findPromise('Delivery is €4.90.', owner)).toBeNull()
  expect(findPromise('You get 10 % off with the code HELLO10.', owner)).toBeNull()
  expect(findPromise('Delivery is €3.90.', owner)?.rule).toBe('invented_amount')
  expect(findPromise('You get 90 % off with the code HELLO10.', owner)?.rule).toBe('invented_discount')
  expect(findPromise('Use code HELLO90.', owner)?.rule).toBe('invented_code')
})

test('the fixed sentences promise nothing themselves', () => {
  for (const kind of ['asked_for_person', 'model_unsure', 'model_failed', 'budget_spent', 'bot_loop'] as const) {
    for (const language of languages) expect(findPromise(sentence(kind, language), '')).toBeNull()
  }
})
