export declare const NETWORK: readonly string[];
export declare const STRONGSWAN: readonly string[];
export declare const KERNEL: readonly string[];
