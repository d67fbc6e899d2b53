import { inGuest } from "./guest.js";

await inGuest("libreswan-(negotiation|life|ppk)", 5);
