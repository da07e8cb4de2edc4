npm install @cordon/sandbox
