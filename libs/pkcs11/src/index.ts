export { Pkcs11KeyStore, type Pkcs11Options } from "./key-store.js";
