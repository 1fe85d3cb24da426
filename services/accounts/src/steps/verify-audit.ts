import type { ReadFn } from '@parley/runtime'
import { sha256 } from '../audit-digest.ts'
import { type ChainState, findLinkHash, findUnlinked, readChain, readChainState } from '../db/audit.ts'
import type { DB } from '../db/types.ts'
import { type Break, checkEnd, followChain, type Head } from '../rules/audit-chain.ts'

const pageLinks = 500
/** Within the 8 s that a call may take; whoever asks goes on from there. */
const budgetMs = 4_000

export interface Verification {
  ok: boolean
  complete: boolean
  checked: number
  head: { sequence: number; hash: string; sealedAt: string } | null
  next: { after: number; hash: string } | null
  broken: Break | null
  unsealed: number
  unsealedSince: string | null
}

/** Computes the chain anew from `start`, as far as its time goes. What is sealed meanwhile is left for the next look. */
export async function verifyAudit(read: ReadFn<DB>, organizationId: string, start: Head): Promise<Verification> {
  const deadline = performance.now() + budgetMs
  const state = await read((tx) => readChainState(tx, organizationId))
  const answer = (at: Head, complete: boolean, broken: Break | null): Verification => ({
    ok: broken === null,
    complete: complete || broken !== null,
    checked: at.sequence - start.sequence,
    head: state.sealedAt && { ...state.head, sealedAt: state.sealedAt.toISOString() },
    next: complete || broken ? null : { after: at.sequence, hash: at.hash },
    broken,
    unsealed: state.unsealed,
    unsealedSince: state.oldestUnsealedAt?.toISOString() ?? null,
  })

  const known = start.sequence === 0 ? start.hash : await read((tx) => findLinkHash(tx, organizationId, start.sequence))
  if (known === undefined) return answer(start, false, { kind: 'truncated', sequence: start.sequence, entryId: null })
  if (known !== start.hash) return answer(start, false, { kind: 'rewritten', sequence: start.sequence, entryId: null })

  let at = start
  while (performance.now() < deadline) {
    const slice = { after: at.sequence, upTo: state.head.sequence, limit: pageLinks }
    const page = await read((tx) => readChain(tx, organizationId, slice))
    const { head, broken } = followChain(sha256, organizationId, at, page)
    at = head
    if (broken) return answer(at, false, broken)
    if (page.length < pageLinks) return answer(at, true, await endOf(read, organizationId, at, state))
  }
  return answer(at, false, null)
}

async function endOf(read: ReadFn<DB>, organizationId: string, at: Head, state: ChainState): Promise<Break | null> {
  const broken = checkEnd(at, state.head, state.last)
  if (broken || state.entries <= state.links + state.unsealed) return broken
  const entryId = await read((tx) => findUnlinked(tx, organizationId))
  return entryId === undefined ? null : { kind: 'unlinked', sequence: at.sequence, entryId }
}
