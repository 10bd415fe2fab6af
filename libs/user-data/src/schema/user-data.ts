import { Type } from 'typebox'
import { Install } from './install.ts'
import { kairosKeys } from './kairos.ts'
import { Stages } from './stages.ts'
import { Stylus } from './stylus.ts'

/**
 * JSON Schema of the user-data of an Edge installer, for editors and for the validator alike. It
 * follows Spectro Cloud's installer reference and, for the keys of Kairos, Kairos's configuration
 * reference. Keys it does not know are not forbidden: the validator warns of them.
 */
export const userDataSchema = Type.Partial(
  Type.Object({ stylus: Stylus, install: Install, stages: Stages, ...kairosKeys }),
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'UserData',
    title: 'Edge installer user-data',
    description: 'Configuration of an Edge installer: the Palette agent, the installation, and its stages.',
    examples: [
      {
        stylus: {
          site: {
            paletteEndpoint: 'api.spectrocloud.com',
            edgeHostToken: 'token-of-the-tenant',
            projectName: 'stores',
          },
        },
        install: { poweroff: true },
      },
    ],
  },
)
