import { type DataOf, maxShopLines, shopReturnChanged } from '@parley/contracts'
import { count, type Fields, fields, fitting, isFields, jsonBytes, maxEventBytes, text } from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised, unused } from '../webhook/items.ts'
import type { NormalisedItem } from '../webhook/types.ts'
import {
  mapLazily,
  plainId,
  refuseOtherKind,
  repeatableKey,
  resourceId,
  type ShopDelivery,
  shopFields,
  shopKey,
  type TopicReader,
} from './webhook-common.ts'

type Change = DataOf<typeof shopReturnChanged>['change']

/**
 * Four shapes for one resource (providers.md §15): with `order{}` and lines; with `order_id` and a status; declined with a
 * reason; and an update that is nothing but the gid. Lines may be a list or an object, and fewer than the shop counts.
 */
export function returnTopic(change: Change): TopicReader {
  return (delivery, body) => {
    refuseOtherKind(delivery, body, 'Return')
    return returnChanged(delivery, change, body)
  }
}

/** Events of the parcel or the goods of a return, which name the return beside themselves, or do not. */
export function reverseTopic(change: Change): TopicReader {
  return (delivery, body) => {
    const about = isFields(body.return) ? body.return : fields(fields(body.reverse_fulfillment_order).return)
    if (resourceId(about) === null) return unused(repeatableKey(delivery, resourceId(body) ?? 'no-id'), 'It names no return.')
    return returnChanged(delivery, change, about)
  }
}

function returnChanged(delivery: ShopDelivery, change: Change, body: Fields): NormalisedItem {
  const returnId = resourceId(body)
  const shopReturnKey = returnId === null ? null : shopKey(delivery, returnId)
  if (returnId === null || shopReturnKey === null)
    return unrecognised(delivery, repeatableKey(delivery, 'no-id'), 'A return without an id.')
  const decline = fields(body.decline)
  const shell = {
    ...shopFields(delivery, body),
    shopReturnKey,
    returnId,
    orderId: plainId(body.order_id) ?? resourceId(fields(body.order)),
    name: text(body.name, 255),
    change,
    status: text(body.status, 64),
    declineReason: text(decline.reason, 255),
    declineNote: text(decline.note, 2_000),
  }
  const { listed, isWhole } = listedLines(body.return_line_items)
  const lines = fitting(mapLazily(listed, lineOf), maxShopLines, maxEventBytes - jsonBytes(shell) - 256)
  const lineCount = Math.max(count(body.total_return_line_items) ?? 0, listed.length)
  const data = { ...shell, lines, lineCount, linesTruncated: !isWhole || lines.length < lineCount }
  return emittedIfItFits(delivery, repeatableKey(delivery, returnId), shopReturnChanged, data)
}

/** An object is one line when it has an id; otherwise it describes a change, and the lines must be read again. */
function listedLines(value: unknown): { listed: readonly unknown[]; isWhole: boolean } {
  if (Array.isArray(value)) return { listed: value, isWhole: true }
  if (isFields(value) && resourceId(value) !== null) return { listed: [value], isWhole: true }
  return { listed: [], isWhole: false }
}

function lineOf(line: Fields) {
  const fulfilled = fields(line.fulfillment_line_item)
  return {
    returnLineId: resourceId(line),
    lineItemId: resourceId(fields(fulfilled.line_item)) ?? resourceId(fields(line.line_item)),
    quantity: count(line.quantity),
    reason: text(line.return_reason, 255),
    note: text(line.return_reason_note, 1_000) ?? text(line.customer_note, 1_000),
  }
}
