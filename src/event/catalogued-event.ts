/**
 * The types that hold `emit` to a catalogue: its action names are completed, and an event of one of them has the
 * members that the schemas of that action take. Without a catalogue an event is any `AuditEvent`; with one
 * that is not closed, so is an event of another action. Types only; what the compiler cannot see is checked at run time.
 */

import type { ActionDefinitions } from './catalogue.ts'
import type { AuditEvent, Operation } from './event.ts'
import type { SchemaInput, StandardSchemaV1 } from './standard-schema.ts'

/** The actions that may be emitted with a catalogue; those that it names are completed. */
export type ActionName<Known> =
  string extends NamesOf<Known>
    ? string
    : Known extends { readonly closed: true }
      ? NamesOf<Known>
      : NamesOf<Known> | (string & {})

/** An event of an action: `EventOf<typeof catalogue, 'invoice.delete'>`. */
export type EventOf<Known, Action extends string> =
  string extends NamesOf<Known>
    ? AuditEvent & { readonly action: Action }
    : Action extends NamesOf<Known>
      ? CataloguedEvent<Action, DefinitionsOf<Known>[Action & keyof DefinitionsOf<Known>]>
      : AuditEvent & { readonly action: Action }

/** What `emit` takes: the event of the action that it names. */
export type Emitted<Known, Action extends string> = { readonly action: Action } & EventOf<Known, Action>

type DefinitionsOf<Known> = Known extends { readonly actions: infer Definitions } ? Definitions : ActionDefinitions

type NamesOf<Known> = keyof DefinitionsOf<Known> & string

/** What the catalogue decides of an event; the version in `schema` is its own. */
type DecidedMembers = 'action' | 'changes' | 'details' | 'operation' | 'schema' | 'target'

type CataloguedEvent<Action extends string, Definition> = Omit<AuditEvent, DecidedMembers> & {
  readonly action: Action
  readonly operation?: OperationOf<Definition> | undefined
} & CheckedMember<'changes', Definition> &
  CheckedMember<'details', Definition> &
  CheckedMember<'target', Definition>

type OperationOf<Definition> = Definition extends { readonly operation: infer Own extends Operation } ? Own : Operation

/** A member as its schema takes it, optional where an empty object would do; without a schema as any event has it. */
type CheckedMember<Member extends 'changes' | 'details' | 'target', Definition> = Definition extends {
  readonly [Key in Member]: infer Schema extends StandardSchemaV1<object>
}
  ? OptionalIfEmpty<Member, WithoutDefaults<Member, SchemaInput<Schema>, Definition>>
  : Pick<AuditEvent, Member>

// biome-ignore lint/complexity/noBannedTypes: whether {} would do is the question
type OptionalIfEmpty<Member extends string, Value> = {} extends Value
  ? { readonly [Key in Member]?: Value | undefined }
  : { readonly [Key in Member]: Value }

/** What the defaults give need not be given again. */
type WithoutDefaults<Member extends string, Value, Definition> = Definition extends {
  readonly defaults: { readonly [Key in Member]: infer Given extends object }
}
  ? Omit<Value, keyof Given> & Partial<Pick<Value, keyof Given & keyof Value>>
  : Value
