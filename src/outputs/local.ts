/** The host's own record of its alerts, for `agent alerts` and `agent explain`. */
import type { AlertMessage } from '../wire/alert-message.ts'
import type { Output } from './output.ts'

/** @param put returns false if the write failed */
export function localOutput(put: (alerts: readonly AlertMessage[]) => boolean): Output {
  let refused = 0
  return {
    name: 'local',
    takesObservations: true,
    get refused(): Record<string, number> {
      return refused === 0 ? {} : { disk: refused }
    },
    take: ({ alerts }) => {
      if (alerts.length > 0 && !put(alerts)) refused += alerts.length
    },
  }
}
