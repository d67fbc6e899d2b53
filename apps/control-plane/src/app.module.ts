import { type DynamicModule, Module } from "@nestjs/common";
import { AcmeModule } from "./features/acme/acme.module.js";
import { AddressPoolsModule } from "./features/address-pools/address-pools.module.js";
import { AgentsModule } from "./features/agents/agents.module.js";
import { AlertsModule } from "./features/alerts/alerts.module.js";
import { AuditModule } from "./features/audit/audit.module.js";
import { CertificatesModule } from "./features/certificates/certificates.module.js";
import { DnsZonesModule } from "./features/dns-zones/dns-zones.module.js";
import { EnrolmentModule } from "./features/enrolment/enrolment.module.js";
import { EventsModule } from "./features/events/events.module.js";
import { ExternalPeersModule } from "./features/external-peers/external-peers.module.js";
import { FleetHealthModule } from "./features/fleet-health/fleet-health.module.js";
import { GatewaysModule } from "./features/gateways/gateways.module.js";
import { HandoverModule } from "./features/handover/handover.module.js";
import { HistoryModule } from "./features/history/history.module.js";
import { IntentsModule } from "./features/intents/intents.module.js";
import { LeasesModule } from "./features/leases/leases.module.js";
import { MasterKeyModule } from "./features/master-key/master-key.module.js";
import { NetworksModule } from "./features/networks/networks.module.js";
import { OperatorsModule } from "./features/operators/operators.module.js";
import { OrganizationsModule } from "./features/organizations/organizations.module.js";
import { RemoteAccessModule } from "./features/remote-access/remote-access.module.js";
import { RetentionModule } from "./features/retention/retention.module.js";
import { RevocationsModule } from "./features/revocations/revocations.module.js";
import { RoadWarriorsModule } from "./features/road-warriors/road-warriors.module.js";
import { RolloutsModule } from "./features/rollouts/rollouts.module.js";
import { RotationsModule } from "./features/rotations/rotations.module.js";
import { SecretsModule } from "./features/secrets/secrets.module.js";
import { SitesModule } from "./features/sites/sites.module.js";
import { TunnelsModule } from "./features/tunnels/tunnels.module.js";
import { GraphqlModule } from "./platform/graphql/graphql.module.js";
import { PlatformModule, type Resources } from "./platform/platform.module.js";

@Module({})
export class AppModule {
  static register(resources: Resources): DynamicModule {
    return {
      module: AppModule,
      imports: [
        PlatformModule.register(resources),
        OrganizationsModule,
        OperatorsModule,
        AuditModule,
        EventsModule,
        SecretsModule,
        CertificatesModule,
        IntentsModule,
        GatewaysModule,
        NetworksModule,
        EnrolmentModule,
        SitesModule,
        ExternalPeersModule,
        RoadWarriorsModule,
        AddressPoolsModule,
        RemoteAccessModule,
        HandoverModule,
        TunnelsModule,
        HistoryModule,
        FleetHealthModule,
        AlertsModule,
        RevocationsModule,
        LeasesModule,
        AgentsModule,
        DnsZonesModule,
        AcmeModule,
        RolloutsModule,
        RotationsModule,
        RetentionModule,
        MasterKeyModule,
        GraphqlModule,
      ],
    };
  }
}
