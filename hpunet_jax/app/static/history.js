// Undo and redo of states that are never changed in place.

export class History {
  constructor(state) {
    this.restart(state);
  }
  restart(state) {
    this.states = [state];
    this.at = 0;
  }
  get state() {
    return this.states[this.at];
  }
  /** A new state; what was undone before is forgotten. */
  push(state) {
    this.states = [...this.states.slice(0, this.at + 1), state].slice(-200);
    this.at = this.states.length - 1;
  }
  /** Replaces the newest state: one drag is one step, however many positions it had. */
  replace(state) {
    this.states[this.at] = state;
  }
  get canUndo() {
    return this.at > 0;
  }
  get canRedo() {
    return this.at < this.states.length - 1;
  }
  undo() {
    if (this.canUndo) this.at -= 1;
    return this.state;
  }
  redo() {
    if (this.canRedo) this.at += 1;
    return this.state;
  }
}
