/** Environment of a process of ours in a benchmark: the defaults of production, on a port of its own, without the limit per caller. */
export function processEnvironment(natsUrl: string, root: string, more: Record<string, string> = {}): Record<string, string> {
  return {
    NATS_URL: natsUrl,
    BUS_ROOT: root,
    NATS_MAX_BYTES: String(4 * 1024 ** 3),
    HOST: '127.0.0.1',
    PORT: '0',
    ADMIN_PORT: '0',
    LOG_LEVEL: 'warn',
    // All load comes from one address here.
    REQUESTS_PER_MINUTE: '100000000',
    // And from one source.
    ...Object.fromEntries(
      ['SOURCE', 'ORGANIZATION'].flatMap((whose) => [
        [`INGEST_${whose}_MESSAGES_PER_MINUTE`, '1000000000'],
        [`INGEST_${whose}_BYTES_PER_MINUTE`, '1000000000000'],
      ]),
    ),
    ...more,
  }
}
