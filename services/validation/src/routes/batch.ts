import { UserDataBatchRequest, UserDataBatchResult } from '@edgesmith/contract/fleet'
import type { App } from '@edgesmith/service/app'
import { validateUserData } from '@edgesmith/user-data/validate'

/** Most bytes of a batch. */
const bodyLimit = 32 * 1024 * 1024

/** How many documents are judged before others get their turn. */
const turn = 16

/** `POST /internal/validations/batch`: the user-data of many sites, for the gateway. */
export function batchRoutes(app: App): void {
  app.post(
    '/internal/validations/batch',
    {
      bodyLimit,
      schema: { hide: true, body: UserDataBatchRequest, response: { 200: UserDataBatchResult } },
    },
    async ({ body: { surroundings, userData } }) => {
      const diagnostics: UserDataBatchResult['diagnostics'] = []
      for (const [index, document] of userData.entries()) {
        if (index % turn === turn - 1) await new Promise(setImmediate)
        diagnostics.push(validateUserData(document, surroundings))
      }
      return { diagnostics }
    },
  )
}
