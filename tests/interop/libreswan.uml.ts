import { inGuest } from "./guest.js";

await inGuest("libreswan-", 110);
