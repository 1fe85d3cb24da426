import { AppError } from '@parley/runtime'
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { App } from './app.ts'
import type { AuditPlace } from './db/audit-list.ts'

const macBytes = 16

/** Signed for one organization (reliability.md A27): a place of another one's list, or a changed one, is no place. */
function macOf(app: Pick<App, 'config'>, organizationId: string, payload: string): Buffer {
  const key = createHmac('sha256', app.config.PARLEY_SECRET_KEY.reveal()).update('audit cursor').digest()
  return createHmac('sha256', key).update(`${organizationId}\n${payload}`).digest().subarray(0, macBytes)
}

/** Where the next page begins: `<milliseconds>_<entry>.<mac>`. */
export function writeCursor(app: Pick<App, 'config'>, organizationId: string, place: AuditPlace): string {
  const payload = `${place.at.getTime()}_${place.entryId}`
  return `${payload}.${macOf(app, organizationId, payload).toString('base64url')}`
}

/** Throws AppError invalid unless this organization was given that cursor. */
export function readCursor(app: Pick<App, 'config'>, organizationId: string, text: string): AuditPlace {
  const [, payload = '', at = '', entryId = '', mac = ''] =
    /^((\d{1,15})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}))\.([A-Za-z0-9_-]{22})$/.exec(text) ?? []
  const given = Buffer.from(mac, 'base64url')
  if (payload === '' || given.length !== macBytes || !timingSafeEqual(given, macOf(app, organizationId, payload))) {
    throw new AppError('invalid', 'query.cursor: not a cursor of this list.')
  }
  return { at: new Date(Number(at)), entryId }
}
