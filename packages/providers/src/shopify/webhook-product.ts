import { type DataOf, maxShopLines, type ShopProduct, shopProductChanged, type ShopVariant } from '@parley/contracts'
import {
  Cuts,
  decimalText,
  type Fields,
  fields,
  fitting,
  isFields,
  isoToUtc,
  jsonBytes,
  list,
  maxEventBytes,
  text,
  whole,
} from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised } from '../webhook/items.ts'
import { contentKey, plainId, refuseOtherKind, shopFields, shopKey, tagsOf, type TopicReader } from './webhook-common.ts'

type Change = DataOf<typeof shopProductChanged>['change']

export function productTopic(change: Change): TopicReader {
  return (delivery, body) => {
    const isDeleted = change === 'deleted'
    refuseOtherKind(delivery, body, isDeleted ? 'Deletion' : 'Product', 'Product')
    const productId = plainId(body.id) ?? plainId(body.admin_graphql_api_id)
    const shopProductKey = productId === null ? null : shopKey(delivery, productId)
    if (productId === null || shopProductKey === null)
      return unrecognised(delivery, contentKey(delivery, 'no-id'), 'A product without an id.')
    if (!isDeleted && !Array.isArray(body.variants)) {
      return unrecognised(delivery, contentKey(delivery, productId), 'A product without variants.')
    }
    const data = { ...shopFields(delivery, body), shopProductKey, productId, change }
    const product = isDeleted ? null : productOf(body, jsonBytes(data))
    return emittedIfItFits(
      delivery,
      contentKey(delivery, productId),
      shopProductChanged,
      { ...data, product },
      { ...data, product: null },
    )
  }
}

function productOf(body: Fields, otherBytes: number): ShopProduct {
  const cuts = new Cuts()
  const image = fields(body.image ?? list(body.images)[0])
  const shell = {
    title: text(body.title, 512),
    descriptionHtml: cuts.text('descriptionHtml', body.body_html, 4_000),
    vendor: text(body.vendor, 255),
    productType: text(body.product_type, 255),
    handle: text(body.handle, 255),
    status: text(body.status, 64),
    tags: tagsOf(cuts, body.tags),
    imageUrl: typeof image.src === 'string' && image.src.length <= 2_048 && /^https?:\/\//.test(image.src) ? image.src : null,
    publishedAt: isoToUtc(body.published_at),
    ...cuts.said(),
  }
  const all = list(body.variants)
  const readable = all.filter(isFields).flatMap((variant) => variantOf(variant) ?? [])
  // A hundred come in full; beyond, the shop names all of them here (2025 and later).
  const variantCount = Math.max(all.length, list(body.variant_gids).length)
  const variants = fitting(readable, maxShopLines, maxEventBytes - otherBytes - jsonBytes(shell) - 256)
  return { ...shell, variants, variantCount, variantsTruncated: variants.length < variantCount }
}

function variantOf(variant: Fields): ShopVariant | null {
  const variantId = plainId(variant.id)
  if (variantId === null) return null
  return {
    variantId,
    title: text(variant.title, 255),
    sku: text(variant.sku, 255),
    barcode: text(variant.barcode, 255),
    price: decimalText(variant.price),
    compareAtPrice: decimalText(variant.compare_at_price),
    inventoryQuantity: whole(variant.inventory_quantity),
    options: [variant.option1, variant.option2, variant.option3].flatMap((option) => text(option, 255) ?? []),
  }
}
