type Stoppable = { stop(): Promise<unknown> }

/** Waits for both; when one fails, the other is stopped before the failure is passed on. */
export async function startBoth<A extends Stoppable, B extends Stoppable>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  const [first, second] = await Promise.allSettled([a, b])
  if (first.status === 'fulfilled' && second.status === 'fulfilled') return [first.value, second.value]
  for (const result of [first, second]) if (result.status === 'fulfilled') await result.value.stop()
  throw first.status === 'rejected' ? first.reason : (second as PromiseRejectedResult).reason
}

/** Stops all of them even if one cannot be stopped, and then says so. */
export async function stopAll(...servers: Stoppable[]): Promise<void> {
  const failed = (await Promise.allSettled(servers.map((server) => server.stop()))).find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
