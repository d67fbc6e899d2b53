import { faultTable } from "@sallyport/base";

/** Faults of links and of what they lead to; those of profiles are in libs/handover. */
export const handoverFault = faultTable({
  /** The gateway has no certificate yet: its agent is not enrolled. */
  "handover/gateway-not-ready": { retry: true, expose: true },
  /** People's devices call the ports 500 and 4500 only. */
  "handover/other-ports": { retry: false, expose: true },
  /** The service does not let the person in: disabled, or in none of its groups. */
  "handover/not-a-user": { retry: false, expose: true },
  /** The service's gateways trust no certificate of this authority. */
  "handover/authority-not-trusted": { retry: false, expose: true },
  /** No device can do what the gateway asks for; `facts` say why of each. */
  "handover/no-device": { retry: false, expose: true },
  /** No link, or not with this secret. */
  "handover/unknown-link": { retry: false, expose: true },
  /** The key was collected before. */
  "handover/used": { retry: false, expose: true },
  "handover/expired": { retry: false, expose: true },
  "handover/withdrawn": { retry: false, expose: true },
  /** The certificate that would be handed over was revoked, or is on hold. */
  "handover/revoked": { retry: false, expose: true },
  /** The link does not offer such a device. */
  "handover/not-offered": { retry: false, expose: true },
  /** Files are for the browser that collected them, for a while. */
  "handover/files-gone": { retry: false, expose: true },
});
