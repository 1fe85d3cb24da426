import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Two workers: the embedded servers want a core as well, and CI machines have two.
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'services/*/src/**/*.test.ts', 'scripts/**/*.test.ts'],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'integration',
          include: ['packages/*/test/**/*.test.ts', 'services/*/test/**/*.test.ts'],
          // Chaos kills servers for minutes: `npm run chaos`.
          exclude: ['services/all/test/chaos/**', '**/node_modules/**'],
          globalSetup: ['packages/embedded/src/vitest-setup.ts'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})
