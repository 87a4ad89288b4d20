/// Places that the simulation must have visited: a run of many seeds that misses one explores a desert.
package enum Mark: String, CaseIterable, Sendable {
    case grantedAtOnceFromIdle, grantedFreshOrHandedOver
    case timedOut, timedOutDuringOutage, timedOutWaitingForItself
    case cancelled, cancelledAtTheInstantOfTheGrant
    case refusedByFullQueue, refusedByShutdown, refusedDuringOutage
    case connectOutlivedItsCaller, answerCameTooLate, connectFailedForGood, recovered
    case closedBroken, closedSpent, closedDead, closedAfterPing, closedAfterReset, closedExpired, closedIdle
    case closedOverflow, closedOverCapacity, closedInvalidated, closedByShutdown
    case diedWhileLent, shutDownInChaos, leaseCancelledByShutdown, leakSuspected
    case warmedUp, warmUpFailed, reserveUsed, wokenTooEarly, tooManyConnectionsAtTheServer
}
