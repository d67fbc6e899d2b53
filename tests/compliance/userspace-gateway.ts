import { IpAddress } from "@sallyport/base";
import { openEspSocket, UserspaceDataPlane } from "@sallyport/userspace";

/** The userspace data plane, for a gateway of the compliance suite. */
export async function openGateway() {
  const sockets = ([4, 6] as const).map((family) => openEspSocket({ address: IpAddress.any(family), port: 4500 }));
  const dataPlane = await UserspaceDataPlane.create({
    tunName: "sallyport%d",
    sockets,
    onIke: () => undefined,
    clock: { now: () => performance.now(), wall: () => Date.now() },
  });
  return { dataPlane };
}
