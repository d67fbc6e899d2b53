/** Numbers of PKCS#11 (OASIS PKCS #11 Base Specification v2.40 and Current Mechanisms v3.0) that are used here. */

/** Places of functions in CK_FUNCTION_LIST (pkcs11f.h), and the types of their arguments. */
export const FUNCTIONS = {
  C_Initialize: [0, ["void *"]],
  C_GetSlotList: [4, ["uint8", "void *", "void *"]],
  C_GetTokenInfo: [6, ["ulong", "void *"]],
  C_OpenSession: [12, ["ulong", "ulong", "void *", "void *", "void *"]],
  C_CloseSession: [13, ["ulong"]],
  C_Login: [18, ["ulong", "ulong", "void *", "ulong"]],
  C_CreateObject: [20, ["ulong", "void *", "ulong", "void *"]],
  C_DestroyObject: [22, ["ulong", "ulong"]],
  C_GetAttributeValue: [24, ["ulong", "ulong", "void *", "ulong"]],
  C_FindObjectsInit: [26, ["ulong", "void *", "ulong"]],
  C_FindObjects: [27, ["ulong", "void *", "ulong", "void *"]],
  C_FindObjectsFinal: [28, ["ulong"]],
  C_SignInit: [42, ["ulong", "void *", "ulong"]],
  C_Sign: [43, ["ulong", "void *", "ulong", "void *", "void *"]],
  C_GenerateKeyPair: [59, ["ulong", "void *", "void *", "ulong", "void *", "ulong", "void *", "void *"]],
} as const satisfies Record<string, readonly [number, readonly string[]]>;

export const CKF = { OS_LOCKING_OK: 2, RW_SESSION: 2, SERIAL_SESSION: 4, USER_PIN_INITIALIZED: 8 } as const;
export const CKU_USER = 1;
export const CKO = { PUBLIC_KEY: 2, PRIVATE_KEY: 3 } as const;
export const CKK = { RSA: 0, EC: 3, EC_EDWARDS: 0x40 } as const;

export const CKA = {
  CLASS: 0x000,
  TOKEN: 0x001,
  PRIVATE: 0x002,
  LABEL: 0x003,
  VALUE: 0x011,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  SIGN: 0x108,
  VERIFY: 0x10a,
  MODULUS: 0x120,
  MODULUS_BITS: 0x121,
  PUBLIC_EXPONENT: 0x122,
  PRIVATE_EXPONENT: 0x123,
  PRIME_1: 0x124,
  PRIME_2: 0x125,
  EXPONENT_1: 0x126,
  EXPONENT_2: 0x127,
  COEFFICIENT: 0x128,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
} as const;

export const CKM = {
  RSA_PKCS_KEY_PAIR_GEN: 0x0000,
  RSA_PKCS: 0x0001,
  EC_KEY_PAIR_GEN: 0x1040,
  ECDSA: 0x1041,
  EC_EDWARDS_KEY_PAIR_GEN: 0x1055,
  EDDSA: 0x1057,
} as const;

/** Return values that decide something here, or that operators meet. */
export const CKR = {
  OK: 0x00,
  HOST_MEMORY: 0x02,
  GENERAL_ERROR: 0x05,
  FUNCTION_FAILED: 0x06,
  ATTRIBUTE_TYPE_INVALID: 0x12,
  ATTRIBUTE_VALUE_INVALID: 0x13,
  DEVICE_ERROR: 0x30,
  DEVICE_MEMORY: 0x31,
  DEVICE_REMOVED: 0x32,
  KEY_HANDLE_INVALID: 0x60,
  KEY_SIZE_RANGE: 0x62,
  MECHANISM_INVALID: 0x70,
  MECHANISM_PARAM_INVALID: 0x71,
  OBJECT_HANDLE_INVALID: 0x82,
  PIN_INCORRECT: 0xa0,
  PIN_EXPIRED: 0xa3,
  PIN_LOCKED: 0xa4,
  SESSION_CLOSED: 0xb0,
  SESSION_COUNT: 0xb1,
  SESSION_HANDLE_INVALID: 0xb3,
  TEMPLATE_INCOMPLETE: 0xd0,
  TEMPLATE_INCONSISTENT: 0xd1,
  TOKEN_NOT_PRESENT: 0xe0,
  TOKEN_NOT_RECOGNIZED: 0xe1,
  TOKEN_WRITE_PROTECTED: 0xe2,
  USER_ALREADY_LOGGED_IN: 0x100,
  USER_NOT_LOGGED_IN: 0x101,
  CURVE_NOT_SUPPORTED: 0x140,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
} as const;

const NAMES = new Map(Object.entries(CKR).map(([name, value]): [number, string] => [value, `CKR_${name}`]));

export const nameOf = (value: number): string => NAMES.get(value) ?? `CKR 0x${value.toString(16)}`;
