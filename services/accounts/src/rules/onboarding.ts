/** What a business sets up before its customers are answered, in the order in which it is asked for. */
export const onboardingSteps = ['business', 'connection', 'ai', 'knowledge', 'team'] as const
export type OnboardingStep = (typeof onboardingSteps)[number]

/** Without these nothing can be answered; the others may be skipped. */
const neededSteps: readonly OnboardingStep[] = ['business', 'connection']

/** The steps after one was done or undone: each once, in their order. */
export function changeSteps(done: readonly OnboardingStep[], step: OnboardingStep, isDone: boolean): OnboardingStep[] {
  return onboardingSteps.filter((each) => (each === step ? isDone : done.includes(each)))
}

/** What is still missing before onboarding can be completed. */
export function missingSteps(done: readonly OnboardingStep[]): OnboardingStep[] {
  return neededSteps.filter((step) => !done.includes(step))
}

/** The step to show next; null when there is none left. */
export function nextStep(done: readonly OnboardingStep[]): OnboardingStep | null {
  return onboardingSteps.find((step) => !done.includes(step)) ?? null
}
