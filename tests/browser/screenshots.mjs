// Usage: screenshots.mjs FOLDER: a picture of every page, wide and narrow, light and dark.

import { join } from 'node:path'
import { close, tell } from './support.mjs'
import { tour } from './tour.mjs'

const folder = process.argv[2]
if (!folder) throw new Error('say into which folder')

for (const colorScheme of ['light', 'dark']) {
  for (const [size, width, height] of [['wide', 1280, 800], ['narrow', 375, 667]]) {
    await tell(['--dev'], (scene) =>
      tour({
        ...scene,
        see: (name, page) =>
          page.screenshot({ path: join(folder, `${name}-${size}-${colorScheme}.png`), fullPage: true }),
        colorScheme,
        viewport: { width, height },
      }),
    )
  }
}
await close()
