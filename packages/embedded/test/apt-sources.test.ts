import { expect, test } from 'vitest'
import { parseDeb822, parseOneLine } from '../src/apt-sources.ts'
import { chooseSuite } from '../src/nats-debian.ts'

test('archives are read from the one-line format with their keyring', () => {
  const text = `# deb http://commented.test/debian bookworm main
deb http://mirror.test/debian/ bookworm main contrib # ours
deb-src http://mirror.test/debian bookworm main
deb [arch=amd64 signed-by=/keys/a.gpg] https://other.test/debian trixie main
`
  expect(parseOneLine(text)).toEqual([
    { uri: 'http://mirror.test/debian', suites: ['bookworm'], components: ['main', 'contrib'], signedBy: undefined },
    { uri: 'https://other.test/debian', suites: ['trixie'], components: ['main'], signedBy: '/keys/a.gpg' },
  ])
})

test('archives are read from deb822 with several addresses, comments, and a key given in place', () => {
  const key = '\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----'
  const text = `Types: deb deb-src
# a remark
URIs: http://one.test/debian http://two.test/debian/
Suites: bookworm bookworm-updates
Components: main
Signed-By: /keys/a.gpg

Types: deb
URIs: http://inline.test/debian
Suites: bookworm
Components: main
Signed-By:${key}

Enabled: no
Types: deb
URIs: http://off.test/debian
Suites: bookworm
`
  const shared = { suites: ['bookworm', 'bookworm-updates'], components: ['main'], signedBy: '/keys/a.gpg' }
  expect(parseDeb822(text)).toEqual([
    { uri: 'http://one.test/debian', ...shared },
    { uri: 'http://two.test/debian', ...shared },
    { uri: 'http://inline.test/debian', suites: ['bookworm'], components: ['main'], signedBy: key },
  ])
})

test('an old Debian fetches from Debian 13, everything else from its own suite', () => {
  const release = (id: string, version: string, name: string) => `ID=${id}\nVERSION_ID="${version}"\nVERSION_CODENAME=${name}\n`
  expect(chooseSuite(release('debian', '12', 'bookworm'))).toEqual({ own: 'bookworm', suite: 'trixie' })
  expect(chooseSuite(release('debian', '13', 'trixie'))).toEqual({ own: 'trixie', suite: 'trixie' })
  expect(chooseSuite(release('ubuntu', '24.04', 'noble'))).toEqual({ own: 'noble', suite: 'noble' })
  expect(chooseSuite('ID=debian\n')).toEqual({ own: 'sid', suite: 'sid' })
})
