/**
 * A provider's body has its bound as a whole, at the door. One text in it that is longer than any we carry is cut with its item,
 * or unknown: it costs its neighbours nothing.
 */
export const providerLimits = { maxStringBytes: 64 * 1024 * 1024 } as const
