/**
 * @typedef {object} SignInOptions
 * @property {'personal' | 'work' | 'any'} [account]
 * @property {string} [scope] permissions, separated by blanks
 * @property {string | URL} [returnTo] else this page
 * @property {'code' | 'token'} [flow]
 * @property {'none' | 'login' | 'consent' | 'select_account'} [prompt]
 * @property {string} [login_hint]
 * @property {string} [domain_hint]
 *
 * @typedef {object} Session times are RFC 3339, UTC
 * @property {boolean} signed_in
 * @property {{ kind: 'personal' | 'work', username: string, name: string }} [account]
 * @property {string[]} [scopes]
 * @property {string} [expires_at]
 * @property {string} [refreshed_at]
 * @property {{ state: string, reason: string | null, reconnect_url: string | null }} [health]
 * @property {string} [consent_url]
 */
/**
 * For functions elsewhere; this module's own are those of `createClient()`.
 * @param {{ baseUrl?: string | URL }} [options] as https://api.example.com/api; else where this file was served, or /api here
 */
export function createClient({ baseUrl }?: {
    baseUrl?: string | URL;
}): {
    signInLink: ({ returnTo, ...query }?: SignInOptions) => string;
    signIn: (options?: SignInOptions) => void;
    signOut: ({ returnTo, signal }?: {
        returnTo?: string | URL;
        signal?: AbortSignal;
    }) => Promise<void>;
    session: ({ signal }?: {
        signal?: AbortSignal;
    }) => Promise<Session>;
    onSessionChange: (callback: (session: Session) => void, { signal }?: {
        signal?: AbortSignal;
    }) => () => void;
    fetch: (path: string | URL, init?: RequestInit) => Promise<Response>;
    signInError: () => BundleError | null;
};
/** A refusing answer as an error, with OneNote's refusals in plain words.  @param {Response} response */
export function errorOf(response: Response): Promise<BundleError>;
/** Its message is for people. */
export class BundleError extends Error {
    /** @param {string} message @param {Partial<BundleError>} [fields] */
    constructor(message: string, fields?: Partial<BundleError>);
    /** The server's, OneNote's, or `unreachable`. */
    code: string;
    /** 0 without an answer. */
    status: number;
    /** The way out, for the person.  @type {string | undefined} */
    link: string | undefined;
    /** Seconds.  @type {number | undefined} */
    retryAfter: number | undefined;
    /** The missing permission.  @type {string | undefined} */
    scope: string | undefined;
    /** In the operator's log.  @type {string | undefined} */
    ref: string | undefined;
}
/** Only signing in helps; `link` does it and comes back here. */
export class SignInRequired extends BundleError {
}
/** The permission `scope` is missing; `link` asks for it and comes back here. */
export class PermissionMissing extends BundleError {
}
/** Try again after `retryAfter` seconds. */
export class SlowDown extends BundleError {
}
/** For a link.  @param {SignInOptions} [options] */
export function signInLink({ returnTo, ...query }?: SignInOptions): string;
/** Leave for Microsoft's sign-in.  @param {SignInOptions} [options] */
export function signIn(options?: SignInOptions): void;
/**
 * End the session, then leave for Microsoft's sign-out and `returnTo`.
 * @param {{ returnTo?: string | URL, signal?: AbortSignal }} [options]
 */
export function signOut({ returnTo, signal }?: {
    returnTo?: string | URL;
    signal?: AbortSignal;
}): Promise<void>;
/**
 * Who is signed in: `signed_in` is false where nobody is. Throws where it can't be told.
 * @param {{ signal?: AbortSignal }} [options]
 */
export function session({ signal }?: {
    signal?: AbortSignal;
}): Promise<Session>;
/**
 * Calls back when there is another session or none, or its permissions or health change: noticed in this page's calls,
 * by other tabs, and on coming back here.
 * @param {(session: Session) => void} callback
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {() => void} ends it, as `signal` does
 */
export function onSessionChange(callback: (session: Session) => void, { signal }?: {
    signal?: AbortSignal;
}): () => void;
/**
 * `fetch` for OneNote, through the bundle. Waits out a short "slow down" where the call may be repeated; repeats a GET once
 * where there was no answer. Other answers are returned, 404 too.
 * @param {string | URL} path as Graph's documents write it, or an address at Graph or at the bundle
 * @param {RequestInit} [init]
 * @throws {BundleError} SignInRequired, PermissionMissing, SlowDown, or `unreachable`
 */
export function fetch(path: string | URL, init?: RequestInit): Promise<Response>;
/** What a failed sign-in left in the address, taken out of it; `access_denied` is the person's no. */
export function signInError(): BundleError | null;
export type SignInOptions = {
    account?: "work" | "personal" | "any" | undefined;
    /**
     * permissions, separated by blanks
     */
    scope?: string | undefined;
    /**
     * else this page
     */
    returnTo?: string | URL | undefined;
    flow?: "code" | "token" | undefined;
    prompt?: "none" | "login" | "consent" | "select_account" | undefined;
    login_hint?: string | undefined;
    domain_hint?: string | undefined;
};
/**
 * times are RFC 3339, UTC
 */
export type Session = {
    signed_in: boolean;
    account?: {
        kind: "personal" | "work";
        username: string;
        name: string;
    } | undefined;
    scopes?: string[] | undefined;
    expires_at?: string | undefined;
    refreshed_at?: string | undefined;
    health?: {
        state: string;
        reason: string | null;
        reconnect_url: string | null;
    } | undefined;
    consent_url?: string | undefined;
};
