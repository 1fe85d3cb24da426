import { type DataOf, maxShopLines, type ShopProduct, shopProductChanged, type ShopVariant } from '@parley/contracts'
import {
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
} from '../webhook/fields.ts'
import { emittedIfItFits, unrecognised } from '../webhook/items.ts'
import { contentKey, plainId, refuseOtherKind, shopFields, shopKey, tagsOf, textsOf, type TopicReader } from './webhook-common.ts'

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
    return emittedIfItFits(delivery, contentKey(delivery, productId), shopProductChanged, { ...data, product })
  }
}

function productOf(body: Fields, otherBytes: number): ShopProduct {
  const image = fields(body.image ?? list(body.images)[0])
  const shell = {
    title: text(body.title, 512),
    descriptionHtml: text(body.body_html, 4_000),
    vendor: text(body.vendor, 255),
    productType: text(body.product_type, 255),
    handle: text(body.handle, 255),
    status: text(body.status, 64),
    tags: tagsOf(body.tags),
    imageUrl: typeof image.src === 'string' && image.src.length <= 2_048 ? image.src : null,
    publishedAt: isoToUtc(body.published_at),
  }
  const all = list(body.variants).filter(isFields)
  const readable = all.flatMap((variant) => variantOf(variant) ?? [])
  const variants = fitting(readable, maxShopLines, maxEventBytes - otherBytes - jsonBytes(shell) - 256)
  return { ...shell, variants, variantCount: all.length, variantsTruncated: variants.length < all.length }
}

function variantOf(variant: Fields): ShopVariant | null {
  const variantId = plainId(variant.id)
  if (variantId === null) return null
  const quantity = variant.inventory_quantity
  return {
    variantId,
    title: text(variant.title, 255),
    sku: text(variant.sku, 255),
    barcode: text(variant.barcode, 255),
    price: decimalText(variant.price),
    compareAtPrice: decimalText(variant.compare_at_price),
    inventoryQuantity: typeof quantity === 'number' && Number.isSafeInteger(quantity) ? quantity : null,
    options: textsOf([variant.option1, variant.option2, variant.option3], 3),
  }
}
