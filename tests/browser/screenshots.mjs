// Usage: screenshots.mjs FOLDER: a picture of every page, wide and narrow, light, dark and in forced colours.

import { join } from 'node:path'
import { close, tell } from './support.mjs'
import { tour } from './tour.mjs'

const folder = process.argv[2]
if (!folder) throw new Error('say into which folder')

const SIZES = [['wide', 1280, 800], ['narrow', 320, 640]]
const LOOKS = [['light', { colorScheme: 'light' }], ['dark', { colorScheme: 'dark' }], ['forced', { forcedColors: 'active' }]]

for (const [look, options] of LOOKS) {
  for (const [size, width, height] of SIZES) {
    await tell(['--dev'], (scene) =>
      tour({
        ...scene,
        see: (name, page) => page.screenshot({ path: join(folder, `${name}-${size}-${look}.png`), fullPage: true }),
        ...options,
        viewport: { width, height },
      }),
    )
  }
}
await close()
