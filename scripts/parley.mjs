#!/usr/bin/env node
// The `parley` command on whatever Node there is: installs what is missing, then runs the real program on the right Node.
import process from 'node:process'
import { ensureDependencies, runProgram } from './lib/bootstrap.mjs'

ensureDependencies()
runProgram('services/all/src/main.ts', process.argv.slice(2))
