import type { Reporter } from 'knip'

/** knip is silent when it finds nothing, also when it has read nothing: this says how much it read. */
const report: Reporter = ({ counters }) => console.log(`knip read ${counters.processed} files`)
export default report
