/** The audit entry that says the log was taken out as a file: a use that is counted. */
export const exportEntry = { resourceType: 'audit', resourceId: 'export' } as const

export function isExport(entry: { resourceType: string; resourceId: string }): boolean {
  return entry.resourceType === exportEntry.resourceType && entry.resourceId === exportEntry.resourceId
}
