export declare const NETWORK: readonly string[];
export declare const STRONGSWAN: readonly string[];
export declare const KERNEL: readonly string[];
export declare const LIBRESWAN_NEEDS: readonly string[];
export declare const UNPACKED: readonly string[];
