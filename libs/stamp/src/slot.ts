import { Type, type Static } from 'typebox'

/** Where the user-data of an image lies, and every field that tells its length. Offsets are in bytes of the image. */
export const UserDataSlot = Type.Object(
  {
    offset: Type.Integer({ minimum: 0, description: 'First byte of the user-data.' }),
    capacity: Type.Integer({
      minimum: 1,
      description: 'Bytes of user-data that have room there, whole sectors included.',
    }),
    lengthFields: Type.Array(Type.Integer({ minimum: 0 }), {
      minItems: 1,
      description:
        'First byte of each data length field of a directory record that names the file: 8 bytes, both byte orders (ECMA-119, 9.1.4), one in each directory tree.',
    }),
  },
  { title: 'UserDataSlot', additionalProperties: false },
)

export type UserDataSlot = Static<typeof UserDataSlot>
