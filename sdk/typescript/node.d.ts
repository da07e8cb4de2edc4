export class NodeAdapter {}
