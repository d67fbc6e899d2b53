/** Why an effect failed: code, text and facts of the `Fault`. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly field?: string | undefined;
  readonly value?: string | undefined;
}
