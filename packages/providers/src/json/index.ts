/** The reader for hostile JSON lives in contracts, where the runtime's own routes use it as well. */
export * from '@parley/contracts/json'
