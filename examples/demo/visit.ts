/** What a customer of the service does in one visit: twenty requests, about half of them reads. */

import { foreignInvoices, isConfidential, passwordOf } from './billing.ts'

/** One request to the service. */
export interface Step {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly form?: Readonly<Record<string, string | number>>
}

/** What a visit knows when it takes a step. */
export interface Visitor {
  /** Counts from 0; decides which user it is and which invoices are looked at. */
  readonly index: number
  readonly user: string
  /** The invoice that this visit made. */
  readonly invoice: string
}

/** Single digits: the forger of the demo changes one byte of such an id. */
export const users = ['u-1', 'u-2', 'u-3', 'u-4', 'u-5', 'u-6', 'u-7', 'u-8'] as const

export function userOf(index: number): string {
  return users[index % users.length] ?? 'u-1'
}

const logIn = ({ user }: Visitor): Step => {
  return { method: 'POST', path: '/login', form: { user, password: passwordOf(user) } }
}
const mistypePassword = ({ user }: Visitor): Step => {
  return { method: 'POST', path: '/login', form: { user, password: `${passwordOf(user)}1` } }
}
const create = ({ index }: Visitor): Step => ({ method: 'POST', path: '/invoices', form: { amount: 100 + index } })
const readOwn = ({ invoice }: Visitor): Step => ({ method: 'GET', path: `/invoices/${invoice}` })
const update = ({ index, invoice }: Visitor): Step => {
  return { method: 'PUT', path: `/invoices/${invoice}`, form: { amount: 250 + index } }
}
const updateWrongly = ({ invoice }: Visitor): Step => {
  return { method: 'PUT', path: `/invoices/${invoice}`, form: { amount: -1 } }
}
const deleteOwn = ({ invoice }: Visitor): Step => ({ method: 'DELETE', path: `/invoices/${invoice}` })
const deleteForeign = ({ index }: Visitor): Step => ({ method: 'DELETE', path: `/invoices/${open(index)}` })
const readForeign = ({ index }: Visitor): Step => ({ method: 'GET', path: `/invoices/${open(index)}` })
const readConfidential = (): Step => ({ method: 'GET', path: `/invoices/i-${foreignInvoices}` })

/** The visit, step by step. */
export const steps: readonly ((visitor: Visitor) => Step)[] = [
  ...[mistypePassword, logIn, readForeign, readForeign, create],
  ...[readOwn, readOwn, update, readOwn, readConfidential],
  ...[readForeign, updateWrongly, readForeign, readOwn, update],
  ...[readForeign, deleteForeign, readForeign, readForeign, deleteOwn],
]

/** An invoice that everybody may read. */
function open(index: number): string {
  const invoice = `i-${(index % foreignInvoices) + 1}`
  return isConfidential(invoice) ? 'i-1' : invoice
}
