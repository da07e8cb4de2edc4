// Nothing has to be adapted: this is for programs that were written for packages where it had.
export class NodeAdapter {}
