import type { Proposal } from "@sallyport/intent";
import { authoritiesOf, type Description, rootOf } from "./description.js";
import { powershell } from "./escape.js";
import { note } from "./faults.js";
import { base64, type Order, textFile, type Written } from "./order.js";

const CIPHERS: Readonly<Record<string, string>> = {
  "3des-cbc/192": "DES3",
  "aes-cbc/128": "AES128",
  "aes-cbc/192": "AES192",
  "aes-cbc/256": "AES256",
  "aes-gcm-16/128": "GCMAES128",
  "aes-gcm-16/256": "GCMAES256",
};
const HASHES: Readonly<Record<string, string>> = { "hmac-sha1": "SHA1", "hmac-sha2-256": "SHA256" };
const AUTHENTICATION: Readonly<Record<string, string>> = { "hmac-sha1-96": "SHA196", "hmac-sha2-256-128": "SHA256128" };
const GROUPS: Readonly<Record<string, string>> = { modp1024: "Group2", modp2048: "Group14" };
const PFS: Readonly<Record<string, string>> = { modp2048: "PFS2048" };

const cipherOf = ({ encryption: [first] }: Proposal) => CIPHERS[`${first?.algorithm}/${first?.keyBits}`] as string;

/** Set-VpnConnectionIPsecConfiguration's words; the cipher of an AEAD authenticates too. */
function ipsec(ike: Proposal, esp: Proposal): readonly string[] {
  const cipher = cipherOf(esp);
  return [
    `-AuthenticationTransformConstants ${esp.integrity[0] ? AUTHENTICATION[esp.integrity[0]] : cipher}`,
    `-CipherTransformConstants ${cipher}`,
    `-EncryptionMethod ${cipherOf(ike)}`,
    `-IntegrityCheckMethod ${HASHES[ike.prf[0] ?? ""]}`,
    `-PfsGroup ${PFS[esp.groups[0] ?? ""] ?? "None"}`,
    `-DHGroup ${GROUPS[ike.groups[0] ?? ""]}`,
  ];
}

const AUTHENTICATE: Readonly<Record<Description["authentication"], readonly string[]>> = {
  certificate: ["-AuthenticationMethod MachineCertificate"],
  "eap-tls": [
    "-AuthenticationMethod Eap",
    "-EapConfigXmlStream (New-EapConfiguration -Tls -UserCertificate).EapConfigXmlStream",
  ],
  "eap-mschapv2": ["-AuthenticationMethod Eap", "-EapConfigXmlStream (New-EapConfiguration).EapConfigXmlStream"],
  "certificate-and-eap-mschapv2": [],
};

function imports({ description: d, pkcs12 }: Order): readonly string[] {
  const authorities = authoritiesOf(d).map((c) => {
    const store = c.fingerprint === rootOf(d).fingerprint ? "Root" : "CA";
    return `Add-Authority ${powershell(base64(c.der))} '${store}'`;
  });
  if (!pkcs12) return authorities;
  // IKE itself looks into the machine's store alone (CLI-06), EAP into the person's.
  const store = d.authentication === "certificate" ? "LocalMachine" : "CurrentUser";
  return [
    ...authorities,
    "$file = [IO.Path]::GetTempFileName()",
    "try {",
    `  [IO.File]::WriteAllBytes($file, [Convert]::FromBase64String(${powershell(base64(pkcs12))}))`,
    "  $passphrase = Read-Host -AsSecureString -Prompt 'Passphrase of the certificate'",
    `  Import-PfxCertificate -FilePath $file -CertStoreLocation 'Cert:\\${store}\\My' -Password $passphrase | Out-Null`,
    "} finally {",
    "  Remove-Item -LiteralPath $file",
    "}",
  ];
}

/** A script for Windows PowerShell 5.1, and the key as a file of its own for those who import it by hand. */
export function writeWindows(order: Order): Written {
  const { description: d, suites, slug, pkcs12 } = order;
  const split = d.networks.length > 0;
  const add = [
    "-Name $name",
    `-ServerAddress ${powershell(d.gateway.address)}`,
    "-TunnelType Ikev2",
    "-EncryptionLevel Required",
    ...AUTHENTICATE[d.authentication],
    ...(split ? ["-SplitTunneling"] : []),
    "-Force",
  ];
  // Without split networks Windows routes IPv4 by itself, and of IPv6 nothing (CLI-09).
  const routes = split ? d.networks.map(String) : ["2000::/3"];
  const lines = [
    "#Requires -Version 5.1",
    "#Requires -RunAsAdministrator",
    "$ErrorActionPreference = 'Stop'",
    `$name = ${powershell(d.name)}`,
    "",
    "function Add-Authority([string] $base64, [string] $storeName) {",
    "  $certificate = New-Object Security.Cryptography.X509Certificates.X509Certificate2 (,[Convert]::FromBase64String($base64))",
    "  $store = New-Object Security.Cryptography.X509Certificates.X509Store $storeName, 'LocalMachine'",
    "  $store.Open('ReadWrite')",
    "  try { $store.Add($certificate) } finally { $store.Close() }",
    "}",
    "",
    ...imports(order),
    "",
    "Get-VpnConnection | Where-Object { $_.Name -ceq $name } | Remove-VpnConnection -Force",
    `Add-VpnConnection ${add.join(" ")}`,
    `Set-VpnConnectionIPsecConfiguration -ConnectionName $name ${ipsec(suites.ike[0], suites.esp[0]).join(" ")} -Force`,
    ...routes.map((r) => `Add-VpnConnectionRoute -ConnectionName $name -DestinationPrefix ${powershell(r)}`),
    "",
  ];
  const script = textFile(`${slug}.ps1`, "text/plain; charset=utf-8", lines.join("\r\n"));
  if (!pkcs12) return { files: [script] };
  return {
    files: [script, { name: `${slug}.p12`, mediaType: "application/x-pkcs12", content: pkcs12 }],
    notes: d.authentication === "certificate" ? [note("handover/machine-certificate")] : [],
  };
}
