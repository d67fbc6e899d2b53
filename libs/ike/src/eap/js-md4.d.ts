declare module "js-md4" {
  interface Hash {
    update(message: Uint8Array): Hash;
    arrayBuffer(): ArrayBuffer;
  }
  const md4: { create(): Hash };
  export default md4;
}
