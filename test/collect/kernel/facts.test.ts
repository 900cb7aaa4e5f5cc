/** Containers by the paths that container managers give their cgroups. */
import { expect, test } from 'bun:test'
import { containerOfPath } from '../../../src/collect/kernel/facts.ts'

const ID = '3f4e9a1b'.repeat(8)

test.each([
  [`0::/system.slice/docker-${ID}.scope\n`, '3f4e9a1b3f4e'],
  [`12:pids:/docker/${ID}\n0::/\n`, '3f4e9a1b3f4e'],
  [`0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${ID}.scope\n`, '3f4e9a1b3f4e'],
  [`0::/machine.slice/libpod-${ID}.scope/container\n`, '3f4e9a1b3f4e'],
  ['0::/lxc.payload.web1/init.scope\n', 'web1'],
  ['0::/machine.slice/machine-build.scope\n', 'build'],
  ['0::/user.slice/user-1000.slice/session-3.scope\n', ''],
  [`0::/system.slice/${ID}ab.service\n`, ''],
  ['', ''],
])('containerOfPath(%j) is %j', (path, container) => expect(containerOfPath(path)).toBe(container))
