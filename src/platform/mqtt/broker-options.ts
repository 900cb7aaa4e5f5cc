/**
 * What the embedded broker (broker.ts) is given and gives: rules about clients, bounds, messages.
 * Who may do what is the aggregator's to say (`BrokerRules`).
 */
/** Who a client is, as far as that is known. */
export interface Peer {
  /** Proven by password or certificate; undefined for a client that proved nothing. */
  readonly identity: string | undefined
  readonly address: string
  /** Serial number of its certificate, hex, where it brought one. */
  readonly serial?: string | undefined
}

export interface BrokerRules {
  /**
   * The identity that a name and password prove; undefined refuses. Absent: everyone is admitted,
   * without a proven identity.
   */
  readonly authenticate?: (
    name: string,
    password: string,
    address: string,
  ) => Promise<string | undefined>
  /**
   * Why a client may not publish this, or undefined. Wills are asked about when the client
   * connects.
   */
  readonly mayPublish: (
    peer: Peer,
    message: { readonly topic: string; readonly retain: boolean; readonly bytes: number },
  ) => string | undefined
  readonly maySubscribe: (peer: Peer, filter: string) => string | undefined
  /** Whether a certificate, by its serial number, is no longer valid. */
  readonly isRevoked?: (serial: string) => boolean
  /** A client has gone for good: what was remembered of it may be forgotten. */
  readonly forget?: (peer: Peer) => void
}

export interface BrokerMessage {
  readonly topic: string
  /** Valid until `settled` is called. */
  readonly payload: Uint8Array
  readonly retain: boolean
  readonly signature: string | undefined
  readonly peer: Peer
}

/**
 * Why a message was not taken: the sender is to send it again later, or (refused) it will never be
 * taken.
 */
export type Unsettled = 'overloaded' | 'not-stored' | 'refused'

export interface BrokerOptions {
  readonly host: string
  /** 0 takes a free one; see `Broker.port`. */
  readonly port: number
  /**
   * PEM texts. With `clientCa` every client must bring a certificate of it, and is proven to be its
   * common name.
   */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string }
  readonly connectionsMax: number
  /** A longer packet ends its connection as soon as its header is read. */
  readonly packetBytesMax: number
  /** Bytes of all clients that are gathered or not yet settled; beyond it sockets are not read. */
  readonly inFlightBytesMax: number
  /** Messages of one client that are not yet settled. */
  readonly inFlightMessagesMax: number
  /** Bytes that wait for one client to read; a slower one is let go. */
  readonly backlogBytesMax: number
  readonly retainedMax: number
  readonly rules: BrokerRules
  /** A message that the rules allow. The PUBACK goes when `settled` is called without a reason. */
  readonly onMessage: (message: BrokerMessage, settled: (unsettled?: Unsettled) => void) => void
  /** A filter that the rules allow, before its retained messages are looked up. */
  readonly onSubscribe?: (filter: string) => void
  readonly onRefused: (reason: string) => void
}

export interface BrokerLoad {
  readonly connections: number
  readonly inFlightBytes: number
  readonly retained: number
}

export interface Broker {
  readonly host: string
  readonly port: number
  load(): BrokerLoad
  publish(topic: string, payload: string | Uint8Array, retain: boolean, signature?: string): void
  /** Takes nothing more from anyone; what is under way can still be settled and answered. */
  quiesce(): void
  close(): Promise<void>
}
