// The condition names of PostgreSQL's documentation, appendix A, in lower camel case:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
extension SQLState {
    // Class 00: successful completion
    public static let successfulCompletion: SQLState = "00000"

    // Class 01: warning
    public static let warning: SQLState = "01000"
    public static let dynamicResultSetsReturned: SQLState = "0100C"
    public static let implicitZeroBitPadding: SQLState = "01008"
    public static let nullValueEliminatedInSetFunction: SQLState = "01003"
    public static let privilegeNotGranted: SQLState = "01007"
    public static let privilegeNotRevoked: SQLState = "01006"
    public static let warningStringDataRightTruncation: SQLState = "01004"
    public static let deprecatedFeature: SQLState = "01P01"

    // Class 02: no data
    public static let noData: SQLState = "02000"
    public static let noAdditionalDynamicResultSetsReturned: SQLState = "02001"

    // Class 03: SQL Statement Not Yet Complete
    public static let sqlStatementNotYetComplete: SQLState = "03000"

    // Class 08: connection exception
    public static let connectionException: SQLState = "08000"
    public static let connectionDoesNotExist: SQLState = "08003"
    public static let connectionFailure: SQLState = "08006"
    public static let sqlclientUnableToEstablishSqlconnection: SQLState = "08001"
    public static let sqlserverRejectedEstablishmentOfSqlconnection: SQLState = "08004"
    public static let transactionResolutionUnknown: SQLState = "08007"
    public static let protocolViolation: SQLState = "08P01"

    // Class 09: triggered action exception
    public static let triggeredActionException: SQLState = "09000"

    // Class 0A: feature not supported
    public static let featureNotSupported: SQLState = "0A000"

    // Class 0B: invalid transaction initiation
    public static let invalidTransactionInitiation: SQLState = "0B000"

    // Class 0F: locator exception
    public static let locatorException: SQLState = "0F000"
    public static let invalidLocatorSpecification: SQLState = "0F001"

    // Class 0L: invalid grantor
    public static let invalidGrantor: SQLState = "0L000"
    public static let invalidGrantOperation: SQLState = "0LP01"

    // Class 0P: invalid role specification
    public static let invalidRoleSpecification: SQLState = "0P000"

    // Class 0Z: diagnostics exception
    public static let diagnosticsException: SQLState = "0Z000"
    public static let stackedDiagnosticsAccessedWithoutActiveHandler: SQLState = "0Z002"

    // Class 20: case not found
    public static let caseNotFound: SQLState = "20000"

    // Class 21: cardinality violation
    public static let cardinalityViolation: SQLState = "21000"

    // Class 22: data exception
    public static let dataException: SQLState = "22000"
    public static let arraySubscriptError: SQLState = "2202E"
    public static let characterNotInRepertoire: SQLState = "22021"
    public static let datetimeFieldOverflow: SQLState = "22008"
    public static let divisionByZero: SQLState = "22012"
    public static let errorInAssignment: SQLState = "22005"
    public static let escapeCharacterConflict: SQLState = "2200B"
    public static let indicatorOverflow: SQLState = "22022"
    public static let intervalFieldOverflow: SQLState = "22015"
    public static let invalidArgumentForLogarithm: SQLState = "2201E"
    public static let invalidArgumentForNtileFunction: SQLState = "22014"
    public static let invalidArgumentForNthValueFunction: SQLState = "22016"
    public static let invalidArgumentForPowerFunction: SQLState = "2201F"
    public static let invalidArgumentForWidthBucketFunction: SQLState = "2201G"
    public static let invalidCharacterValueForCast: SQLState = "22018"
    public static let invalidDatetimeFormat: SQLState = "22007"
    public static let invalidEscapeCharacter: SQLState = "22019"
    public static let invalidEscapeOctet: SQLState = "2200D"
    public static let invalidEscapeSequence: SQLState = "22025"
    public static let nonstandardUseOfEscapeCharacter: SQLState = "22P06"
    public static let invalidIndicatorParameterValue: SQLState = "22010"
    public static let invalidParameterValue: SQLState = "22023"
    public static let invalidPrecedingOrFollowingSize: SQLState = "22013"
    public static let invalidRegularExpression: SQLState = "2201B"
    public static let invalidRowCountInLimitClause: SQLState = "2201W"
    public static let invalidRowCountInResultOffsetClause: SQLState = "2201X"
    public static let invalidTablesampleArgument: SQLState = "2202H"
    public static let invalidTablesampleRepeat: SQLState = "2202G"
    public static let invalidTimeZoneDisplacementValue: SQLState = "22009"
    public static let invalidUseOfEscapeCharacter: SQLState = "2200C"
    public static let mostSpecificTypeMismatch: SQLState = "2200G"
    public static let nullValueNotAllowed: SQLState = "22004"
    public static let nullValueNoIndicatorParameter: SQLState = "22002"
    public static let numericValueOutOfRange: SQLState = "22003"
    public static let sequenceGeneratorLimitExceeded: SQLState = "2200H"
    public static let stringDataLengthMismatch: SQLState = "22026"
    public static let stringDataRightTruncation: SQLState = "22001"
    public static let substringError: SQLState = "22011"
    public static let trimError: SQLState = "22027"
    public static let unterminatedCString: SQLState = "22024"
    public static let zeroLengthCharacterString: SQLState = "2200F"
    public static let floatingPointException: SQLState = "22P01"
    public static let invalidTextRepresentation: SQLState = "22P02"
    public static let invalidBinaryRepresentation: SQLState = "22P03"
    public static let badCopyFileFormat: SQLState = "22P04"
    public static let untranslatableCharacter: SQLState = "22P05"
    public static let notAnXmlDocument: SQLState = "2200L"
    public static let invalidXmlDocument: SQLState = "2200M"
    public static let invalidXmlContent: SQLState = "2200N"
    public static let invalidXmlComment: SQLState = "2200S"
    public static let invalidXmlProcessingInstruction: SQLState = "2200T"
    public static let duplicateJsonObjectKeyValue: SQLState = "22030"
    public static let invalidArgumentForSqlJsonDatetimeFunction: SQLState = "22031"
    public static let invalidJsonText: SQLState = "22032"
    public static let invalidSqlJsonSubscript: SQLState = "22033"
    public static let moreThanOneSqlJsonItem: SQLState = "22034"
    public static let noSqlJsonItem: SQLState = "22035"
    public static let nonNumericSqlJsonItem: SQLState = "22036"
    public static let nonUniqueKeysInAJsonObject: SQLState = "22037"
    public static let singletonSqlJsonItemRequired: SQLState = "22038"
    public static let sqlJsonArrayNotFound: SQLState = "22039"
    public static let sqlJsonMemberNotFound: SQLState = "2203A"
    public static let sqlJsonNumberNotFound: SQLState = "2203B"
    public static let sqlJsonObjectNotFound: SQLState = "2203C"
    public static let tooManyJsonArrayElements: SQLState = "2203D"
    public static let tooManyJsonObjectMembers: SQLState = "2203E"
    public static let sqlJsonScalarRequired: SQLState = "2203F"
    public static let sqlJsonItemCannotBeCastToTargetType: SQLState = "2203G"

    // Class 23: integrity constraint violation
    public static let integrityConstraintViolation: SQLState = "23000"
    public static let restrictViolation: SQLState = "23001"
    public static let notNullViolation: SQLState = "23502"
    public static let foreignKeyViolation: SQLState = "23503"
    public static let uniqueViolation: SQLState = "23505"
    public static let checkViolation: SQLState = "23514"
    public static let exclusionViolation: SQLState = "23P01"

    // Class 24: invalid cursor state
    public static let invalidCursorState: SQLState = "24000"

    // Class 25: invalid transaction state
    public static let invalidTransactionState: SQLState = "25000"
    public static let activeSqlTransaction: SQLState = "25001"
    public static let branchTransactionAlreadyActive: SQLState = "25002"
    public static let heldCursorRequiresSameIsolationLevel: SQLState = "25008"
    public static let inappropriateAccessModeForBranchTransaction: SQLState = "25003"
    public static let inappropriateIsolationLevelForBranchTransaction: SQLState = "25004"
    public static let noActiveSqlTransactionForBranchTransaction: SQLState = "25005"
    public static let readOnlySqlTransaction: SQLState = "25006"
    public static let schemaAndDataStatementMixingNotSupported: SQLState = "25007"
    public static let noActiveSqlTransaction: SQLState = "25P01"
    public static let inFailedSqlTransaction: SQLState = "25P02"
    public static let idleInTransactionSessionTimeout: SQLState = "25P03"
    public static let transactionTimeout: SQLState = "25P04"

    // Class 26: invalid sql statement name
    public static let invalidSqlStatementName: SQLState = "26000"

    // Class 27: triggered data change violation
    public static let triggeredDataChangeViolation: SQLState = "27000"

    // Class 28: invalid authorization specification
    public static let invalidAuthorizationSpecification: SQLState = "28000"
    public static let invalidPassword: SQLState = "28P01"

    // Class 2B: dependent privilege descriptors still exist
    public static let dependentPrivilegeDescriptorsStillExist: SQLState = "2B000"
    public static let dependentObjectsStillExist: SQLState = "2BP01"

    // Class 2D: invalid transaction termination
    public static let invalidTransactionTermination: SQLState = "2D000"

    // Class 2F: SQL Routine Exception
    public static let sqlRoutineException: SQLState = "2F000"
    public static let functionExecutedNoReturnStatement: SQLState = "2F005"
    public static let modifyingSqlDataNotPermitted: SQLState = "2F002"
    public static let prohibitedSqlStatementAttempted: SQLState = "2F003"
    public static let readingSqlDataNotPermitted: SQLState = "2F004"

    // Class 34: invalid cursor name
    public static let invalidCursorName: SQLState = "34000"

    // Class 38: external routine exception
    public static let externalRoutineException: SQLState = "38000"
    public static let containingSqlNotPermitted: SQLState = "38001"
    public static let externalRoutineModifyingSqlDataNotPermitted: SQLState = "38002"
    public static let externalRoutineProhibitedSqlStatementAttempted: SQLState = "38003"
    public static let externalRoutineReadingSqlDataNotPermitted: SQLState = "38004"

    // Class 39: external routine invocation exception
    public static let externalRoutineInvocationException: SQLState = "39000"
    public static let invalidSqlstateReturned: SQLState = "39001"
    public static let externalRoutineInvocationNullValueNotAllowed: SQLState = "39004"
    public static let triggerProtocolViolated: SQLState = "39P01"
    public static let srfProtocolViolated: SQLState = "39P02"
    public static let eventTriggerProtocolViolated: SQLState = "39P03"

    // Class 3B: savepoint exception
    public static let savepointException: SQLState = "3B000"
    public static let invalidSavepointSpecification: SQLState = "3B001"

    // Class 3D: invalid catalog name
    public static let invalidCatalogName: SQLState = "3D000"

    // Class 3F: invalid schema name
    public static let invalidSchemaName: SQLState = "3F000"

    // Class 40: transaction rollback
    public static let transactionRollback: SQLState = "40000"
    public static let transactionIntegrityConstraintViolation: SQLState = "40002"
    public static let serializationFailure: SQLState = "40001"
    public static let statementCompletionUnknown: SQLState = "40003"
    public static let deadlockDetected: SQLState = "40P01"

    // Class 42: syntax error or access rule violation
    public static let syntaxErrorOrAccessRuleViolation: SQLState = "42000"
    public static let syntaxError: SQLState = "42601"
    public static let insufficientPrivilege: SQLState = "42501"
    public static let cannotCoerce: SQLState = "42846"
    public static let groupingError: SQLState = "42803"
    public static let windowingError: SQLState = "42P20"
    public static let invalidRecursion: SQLState = "42P19"
    public static let invalidForeignKey: SQLState = "42830"
    public static let invalidName: SQLState = "42602"
    public static let nameTooLong: SQLState = "42622"
    public static let reservedName: SQLState = "42939"
    public static let datatypeMismatch: SQLState = "42804"
    public static let indeterminateDatatype: SQLState = "42P18"
    public static let collationMismatch: SQLState = "42P21"
    public static let indeterminateCollation: SQLState = "42P22"
    public static let wrongObjectType: SQLState = "42809"
    public static let generatedAlways: SQLState = "428C9"
    public static let undefinedColumn: SQLState = "42703"
    public static let undefinedFunction: SQLState = "42883"
    public static let undefinedTable: SQLState = "42P01"
    public static let undefinedParameter: SQLState = "42P02"
    public static let undefinedObject: SQLState = "42704"
    public static let duplicateColumn: SQLState = "42701"
    public static let duplicateCursor: SQLState = "42P03"
    public static let duplicateDatabase: SQLState = "42P04"
    public static let duplicateFunction: SQLState = "42723"
    public static let duplicatePreparedStatement: SQLState = "42P05"
    public static let duplicateSchema: SQLState = "42P06"
    public static let duplicateTable: SQLState = "42P07"
    public static let duplicateAlias: SQLState = "42712"
    public static let duplicateObject: SQLState = "42710"
    public static let ambiguousColumn: SQLState = "42702"
    public static let ambiguousFunction: SQLState = "42725"
    public static let ambiguousParameter: SQLState = "42P08"
    public static let ambiguousAlias: SQLState = "42P09"
    public static let invalidColumnReference: SQLState = "42P10"
    public static let invalidColumnDefinition: SQLState = "42611"
    public static let invalidCursorDefinition: SQLState = "42P11"
    public static let invalidDatabaseDefinition: SQLState = "42P12"
    public static let invalidFunctionDefinition: SQLState = "42P13"
    public static let invalidPreparedStatementDefinition: SQLState = "42P14"
    public static let invalidSchemaDefinition: SQLState = "42P15"
    public static let invalidTableDefinition: SQLState = "42P16"
    public static let invalidObjectDefinition: SQLState = "42P17"

    // Class 44: with check option violation
    public static let withCheckOptionViolation: SQLState = "44000"

    // Class 53: insufficient resources
    public static let insufficientResources: SQLState = "53000"
    public static let diskFull: SQLState = "53100"
    public static let outOfMemory: SQLState = "53200"
    public static let tooManyConnections: SQLState = "53300"
    public static let configurationLimitExceeded: SQLState = "53400"

    // Class 54: program limit exceeded
    public static let programLimitExceeded: SQLState = "54000"
    public static let statementTooComplex: SQLState = "54001"
    public static let tooManyColumns: SQLState = "54011"
    public static let tooManyArguments: SQLState = "54023"

    // Class 55: object not in prerequisite state
    public static let objectNotInPrerequisiteState: SQLState = "55000"
    public static let objectInUse: SQLState = "55006"
    public static let cantChangeRuntimeParam: SQLState = "55P02"
    public static let lockNotAvailable: SQLState = "55P03"
    public static let unsafeNewEnumValueUsage: SQLState = "55P04"

    // Class 57: operator intervention
    public static let operatorIntervention: SQLState = "57000"
    public static let queryCanceled: SQLState = "57014"
    public static let adminShutdown: SQLState = "57P01"
    public static let crashShutdown: SQLState = "57P02"
    public static let cannotConnectNow: SQLState = "57P03"
    public static let databaseDropped: SQLState = "57P04"
    public static let idleSessionTimeout: SQLState = "57P05"

    // Class 58: system error
    public static let systemError: SQLState = "58000"
    public static let ioError: SQLState = "58030"
    public static let undefinedFile: SQLState = "58P01"
    public static let duplicateFile: SQLState = "58P02"

    // Class 72: snapshot failure
    public static let snapshotTooOld: SQLState = "72000"

    // Class F0: configuration file error
    public static let configFileError: SQLState = "F0000"
    public static let lockFileExists: SQLState = "F0001"

    // Class HV: foreign data wrapper error
    public static let fdwError: SQLState = "HV000"
    public static let fdwColumnNameNotFound: SQLState = "HV005"
    public static let fdwDynamicParameterValueNeeded: SQLState = "HV002"
    public static let fdwFunctionSequenceError: SQLState = "HV010"
    public static let fdwInconsistentDescriptorInformation: SQLState = "HV021"
    public static let fdwInvalidAttributeValue: SQLState = "HV024"
    public static let fdwInvalidColumnName: SQLState = "HV007"
    public static let fdwInvalidColumnNumber: SQLState = "HV008"
    public static let fdwInvalidDataType: SQLState = "HV004"
    public static let fdwInvalidDataTypeDescriptors: SQLState = "HV006"
    public static let fdwInvalidDescriptorFieldIdentifier: SQLState = "HV091"
    public static let fdwInvalidHandle: SQLState = "HV00B"
    public static let fdwInvalidOptionIndex: SQLState = "HV00C"
    public static let fdwInvalidOptionName: SQLState = "HV00D"
    public static let fdwInvalidStringLengthOrBufferLength: SQLState = "HV090"
    public static let fdwInvalidStringFormat: SQLState = "HV00A"
    public static let fdwInvalidUseOfNullPointer: SQLState = "HV009"
    public static let fdwTooManyHandles: SQLState = "HV014"
    public static let fdwOutOfMemory: SQLState = "HV001"
    public static let fdwNoSchemas: SQLState = "HV00P"
    public static let fdwOptionNameNotFound: SQLState = "HV00J"
    public static let fdwReplyHandle: SQLState = "HV00K"
    public static let fdwSchemaNotFound: SQLState = "HV00Q"
    public static let fdwTableNotFound: SQLState = "HV00R"
    public static let fdwUnableToCreateExecution: SQLState = "HV00L"
    public static let fdwUnableToCreateReply: SQLState = "HV00M"
    public static let fdwUnableToEstablishConnection: SQLState = "HV00N"

    // Class P0: PL/pgSQL Error
    public static let plpgsqlError: SQLState = "P0000"
    public static let raiseException: SQLState = "P0001"
    public static let noDataFound: SQLState = "P0002"
    public static let tooManyRows: SQLState = "P0003"
    public static let assertFailure: SQLState = "P0004"

    // Class XX: internal error
    public static let internalError: SQLState = "XX000"
    public static let dataCorrupted: SQLState = "XX001"
    public static let indexCorrupted: SQLState = "XX002"
}
