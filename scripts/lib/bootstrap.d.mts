export const root: string
export function ensureDependencies(): void
export function findNode(): string
export function isNewEnough(version: string): boolean
export function runProgram(file: string, args: string[], options?: { cwd?: string }): void
