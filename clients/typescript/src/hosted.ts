/** When this tab went to the hosted login. */
const WENT = 'doorward went'
/** How long it is noticed that it came back, in milliseconds. */
const CIRCLE = 10_000

/** Goes to the hosted login, unless that has just come back here by itself, which would go on forever. */
export function go(url: string): void {
  const hasJustGone = Number(sessionStorage.getItem(WENT)) + CIRCLE > Date.now()
  if (hasJustGone && !navigator.userActivation?.isActive) {
    return console.warn('doorward: the login came back, and nobody is signed in here. The guide set-ups.md says why')
  }
  sessionStorage.setItem(WENT, `${Date.now()}`)
  location.assign(url)
}
