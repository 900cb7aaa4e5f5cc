/** A policy for a fleet, out of the file that an operator wrote. */
import { AgentError } from '../domain/error.ts'
import { problemText } from '../domain/untrusted.ts'
import { encodeFleetPolicy, parsePolicyFile } from '../wire/fleet-document.ts'
import { type Push, type Pushed, pushDocument } from './push-document.ts'
import type { Store } from './store/store.ts'

export interface PolicyToPush extends Push {
  /** JSON of `rules` and `allow`. */
  readonly text: string
}

export interface PushedPolicy extends Pushed {
  readonly rules: number
  readonly allow: number
}

/** @throws AgentError where the text is no policy */
export async function pushPolicy(store: Store, push: PolicyToPush): Promise<PushedPolicy> {
  const read = parsePolicyFile(push.text)
  if (!read.ok)
    throw new AgentError('ERR_INPUT', `Cannot push the policy: ${problemText(read)}`, {
      hint: 'It is {"rules":[…],"allow":[…]} with the fields that "agent policy" and "agent allow" keep',
    })
  const { rules, allow } = read.value
  const pushed = await pushDocument(store, 'policy', push, (head) =>
    encodeFleetPolicy({ ...head, rules, allow }),
  )
  return { ...pushed, rules: rules.length, allow: allow.length }
}
