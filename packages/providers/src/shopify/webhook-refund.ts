import { maxShopLines, shopRefundChanged } from '@parley/contracts'
import {
  count,
  currency,
  Cuts,
  decimalText,
  type Fields,
  fields,
  fitting,
  flag,
  isoToUtc,
  jsonBytes,
  list,
  maxEventBytes,
  text,
} from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised } from '../webhook/items.ts'
import {
  contentKey,
  mapLazily,
  plainId,
  refuseOtherKind,
  resourceId,
  shopFields,
  shopKey,
  type TopicReader,
} from './webhook-common.ts'

/** refunds/create is flat: the root id is the refund's, and money is a number here and a string there (providers.md §3). */
export const refundCreated: TopicReader = (delivery, body) => {
  refuseOtherKind(delivery, body, 'Refund')
  const refundId = resourceId(body)
  const orderId = plainId(body.order_id)
  const shopOrderKey = orderId === null ? null : shopKey(delivery, orderId)
  if (refundId === null || orderId === null || shopOrderKey === null) {
    return unrecognised(delivery, contentKey(delivery, refundId ?? 'no-id'), 'A refund without its id or order.')
  }
  const cuts = new Cuts()
  const all = list(body.refund_line_items)
  const shell = {
    ...shopFields(delivery, body),
    shopOrderKey,
    orderId,
    refundId,
    change: 'created' as const,
    returnId: resourceId(fields(body.return)),
    note: cuts.text('note', body.note, 2_000),
    restock: flag(body.restock),
    transactions: cuts.list('transactions', [...mapLazily(list(body.transactions), transactionOf)], 200, 24 * 1_024),
    lineCount: all.length,
    refundedAt: isoToUtc(body.processed_at) ?? isoToUtc(body.created_at),
  }
  const beside = { ...shell, ...cuts.said() }
  const lines = fitting(mapLazily(all, lineOf), maxShopLines, maxEventBytes - jsonBytes(beside) - 256)
  const data = { ...beside, lines, linesTruncated: lines.length < all.length }
  return emittedIfItFits(delivery, contentKey(delivery, refundId), shopRefundChanged, data)
}

function transactionOf(transaction: Fields) {
  const money = fields(fields(transaction.amount_set).shop_money)
  return {
    transactionId: resourceId(transaction),
    kind: text(transaction.kind, 64),
    status: text(transaction.status, 64),
    gateway: text(transaction.gateway, 255),
    amount: decimalText(transaction.amount) ?? decimalText(money.amount),
    currency: currency(transaction.currency) ?? currency(money.currency_code) ?? currency(money.currency),
  }
}

function lineOf(line: Fields) {
  return {
    lineItemId: plainId(line.line_item_id) ?? resourceId(fields(line.line_item)),
    quantity: count(line.quantity),
    restockType: text(line.restock_type, 64),
    subtotal: decimalText(line.subtotal),
    totalTax: decimalText(line.total_tax),
  }
}
