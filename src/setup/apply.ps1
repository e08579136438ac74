
$ErrorActionPreference = 'Stop'
Set-StrictMode -Version 3

# The two services whose permissions are given, by their well-known application IDs.
$Exchange = '00000002-0000-0ff1-ce00-000000000000'
$Graph = '00000003-0000-0000-c000-000000000000'

# The enterprise application (service principal) of an app registration in this tenant. Its Id is
# the Object ID that Exchange wants; the App registrations page shows another one. $null where it is
# only said that it would be made (-WhatIf).
function Get-EnterpriseApplication([string]$AppId) {
    $found = Get-MgServicePrincipal -Filter "appId eq '$($AppId.Replace("'", "''"))'"
    if (-not $found -and $PSCmdlet.ShouldProcess($AppId, 'make the enterprise application')) {
        Write-Host "  making the enterprise application of $AppId"
        # A registration that was made a moment ago is not known everywhere yet.
        for ($try = 1; -not $found; $try++) {
            try { $found = New-MgServicePrincipal -AppId $AppId }
            catch {
                if ($try -ge 6) { throw }
                Start-Sleep -Seconds 5
            }
        }
    }
    $found
}

# Lets an app renew its own secrets: it owns its registration, and may change what it owns.
function Grant-Renewal($Application) {
    $registration = Get-MgApplication -Filter "appId eq '$($Application.AppId)'"
    if (-not $registration) { throw "the app registration of $($Application.AppId) is in another tenant" }
    $owners = @(Get-MgApplicationOwner -ApplicationId $registration.Id -All | ForEach-Object { $_.Id })
    if ($owners -notcontains $Application.Id -and
        $PSCmdlet.ShouldProcess($registration.DisplayName, 'make the app an owner of its own registration')) {
        Write-Host '  making the app an owner of its own registration'
        $graphUrl = (Get-MgEnvironment -Name (Get-MgContext).Environment).GraphEndpoint
        New-MgApplicationOwnerByRef -ApplicationId $registration.Id `
            -BodyParameter @{ '@odata.id' = "$graphUrl/v1.0/directoryObjects/$($Application.Id)" }
    }
    Grant-ApplicationPermission $Application $Graph 'Application.ReadWrite.OwnedBy'
}

# An application permission with admin consent.
function Grant-ApplicationPermission($Application, [string]$Service, [string]$Permission) {
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    $role = $resource.AppRoles | Where-Object { $_.Value -eq $Permission }
    if (-not $role) { throw "$($resource.DisplayName) has no application permission $Permission" }
    $given = Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id -All |
        Where-Object { $_.ResourceId -eq $resource.Id -and $_.AppRoleId -eq $role.Id }
    if ($given) { return }
    if (-not $PSCmdlet.ShouldProcess($Application.DisplayName, "grant $Permission of $($resource.DisplayName)")) { return }
    Write-Host "  granting $Permission of $($resource.DisplayName)"
    New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id `
        -PrincipalId $Application.Id -ResourceId $resource.Id -AppRoleId $role.Id | Out-Null
}

# Delegated permissions with admin consent, for everybody who signs in.
function Grant-DelegatedPermission($Application, [string]$Service, [string[]]$Permissions) {
    if (-not $Permissions) { return }
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Service'"
    $given = Get-MgOauth2PermissionGrant -All -Filter "clientId eq '$($Application.Id)'" |
        Where-Object { $_.ResourceId -eq $resource.Id -and $_.ConsentType -eq 'AllPrincipals' }
    if (-not $given) {
        if (-not $PSCmdlet.ShouldProcess($Application.DisplayName, "consent to $($Permissions -join ' ')")) { return }
        Write-Host "  consenting to $($Permissions -join ' ') of $($resource.DisplayName)"
        New-MgOauth2PermissionGrant -ClientId $Application.Id -ConsentType AllPrincipals `
            -ResourceId $resource.Id -Scope ($Permissions -join ' ') | Out-Null
        return
    }
    $had = @($given.Scope.Trim() -split '\s+')
    $missing = @($Permissions | Where-Object { $had -notcontains $_ })
    if ($missing -and $PSCmdlet.ShouldProcess($Application.DisplayName, "consent to $($missing -join ' ')")) {
        Write-Host "  consenting to $($missing -join ' ') of $($resource.DisplayName)"
        Update-MgOauth2PermissionGrant -OAuth2PermissionGrantId $given.Id -Scope (($had + $missing) -join ' ')
    }
}

# Makes the app known to Exchange, by the Object ID of the enterprise application.
function Register-InExchange($Application, [string]$Name) {
    $found = Get-ServicePrincipal | Where-Object { $_.AppId -eq $Application.AppId }
    if ($found -and $found.ObjectId -ne $Application.Id) {
        Write-Host "  Exchange knows the app by a wrong Object ID, $($found.ObjectId): removing that"
        if (-not $PSCmdlet.ShouldProcess($Name, 'remove the app from Exchange')) { return $found }
        $found | Remove-ServicePrincipal -Confirm:$false
        $found = $null
    }
    if (-not $found -and $PSCmdlet.ShouldProcess($Name, 'make the app known to Exchange')) {
        Write-Host '  making the app known to Exchange'
        $found = New-ServicePrincipal -AppId $Application.AppId -ObjectId $Application.Id -DisplayName $Name
    }
    $found
}

# Graph for these mailboxes and no others (RBAC for Applications).
function Grant-GraphRole($Application, [string]$Role, [string]$Name, [string[]]$Mailboxes) {
    if (-not $Mailboxes) { return }
    $filter = ($Mailboxes | ForEach-Object { "PrimarySmtpAddress -eq '" + $_.Replace("'", "''") + "'" }) -join ' -or '
    if (Get-ManagementScope | Where-Object { $_.Name -eq $Name }) {
        if ($PSCmdlet.ShouldProcess($Name, "set the scope to $($Mailboxes -join ', ')")) {
            Set-ManagementScope -Identity $Name -RecipientRestrictionFilter $filter
        }
    }
    elseif ($PSCmdlet.ShouldProcess($Name, "make the scope of $($Mailboxes -join ', ')")) {
        Write-Host "  making the scope $Name"
        New-ManagementScope -Name $Name -RecipientRestrictionFilter $filter | Out-Null
    }
    if (-not (Get-ManagementRoleAssignment | Where-Object { $_.Name -eq $Name }) -and
        $PSCmdlet.ShouldProcess($Name, "give the role $Role")) {
        Write-Host "  giving the role $Role within it"
        New-ManagementRoleAssignment -Name $Name -App $Application.Id -Role $Role -CustomResourceScope $Name | Out-Null
    }
    # What holds for the whole tenant is not narrowed by a scope.
    $wide = Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $Application.Id -All
    $resource = Get-MgServicePrincipal -Filter "appId eq '$Graph'"
    $permission = $Role -replace '^Application ', ''
    $id = ($resource.AppRoles | Where-Object { $_.Value -eq $permission }).Id
    $wide | Where-Object { $_.AppRoleId -eq $id } | ForEach-Object {
        Write-Warning "the app has $permission for every mailbox of the tenant too; to keep to those above: Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $($Application.Id) -AppRoleAssignmentId $($_.Id)"
    }
}

foreach ($tenant in $Tenants) {
    Write-Host "tenant $($tenant.Tenant)"
    Connect-MgGraph -TenantId $tenant.Tenant -Environment $tenant.GraphEnvironment -NoWelcome `
        -Scopes 'Application.ReadWrite.All', 'AppRoleAssignment.ReadWrite.All', 'DelegatedPermissionGrant.ReadWrite.All'
    Connect-ExchangeOnline -ExchangeEnvironmentName $tenant.ExchangeEnvironment -ShowBanner:$false
    $connected = (Get-ConnectionInformation | Select-Object -Last 1).TenantID
    if ($connected -ne (Get-MgContext).TenantId) {
        throw "Exchange is that of tenant $connected, not of $($tenant.Tenant): sign in to both as an administrator of the same tenant"
    }

    foreach ($app in $tenant.Apps) {
        if ($app.Create) {
            Initialize-App $app
            # It is only said that it would be made (-WhatIf).
            if (-not $app.AppId) { continue }
        }
        Write-Host "app $($app.AppId), server $($app.Server)"
        $application = Get-EnterpriseApplication $app.AppId
        # Without it there is nothing that anything could be granted to (-WhatIf).
        if (-not $application) { continue }
        foreach ($permission in $app.ExchangePermissions) {
            Grant-ApplicationPermission $application $Exchange $permission
        }
        Grant-DelegatedPermission $application $Exchange $app.DelegatedExchange
        Grant-DelegatedPermission $application $Graph $app.DelegatedGraph
        if ($app.OwnName) {
            if ($Renewal) { Grant-Renewal $application }
            $principal = Register-InExchange $application $app.Server
            foreach ($mailbox in $app.Mailboxes) {
                if ($PSCmdlet.ShouldProcess($mailbox, "give full access to app $($app.AppId)")) {
                    Write-Host "  full access to $mailbox"
                    Add-MailboxPermission -Identity $mailbox -User $principal.Identity -AccessRights FullAccess `
                        -WarningAction SilentlyContinue | Out-Null
                }
            }
            if ($TenantWide) {
                foreach ($permission in $app.GraphPermissions) {
                    Grant-ApplicationPermission $application $Graph $permission
                }
            }
            else {
                Grant-GraphRole $application 'Application Mail.ReadWrite' "$($app.OwnName) read" $app.GraphRead
                Grant-GraphRole $application 'Application Mail.Send' "$($app.OwnName) send" $app.GraphSend
            }
        }
    }

    # People who read mailboxes that are not their own.
    foreach ($delegate in $tenant.Delegates) {
        if ($PSCmdlet.ShouldProcess($delegate.Mailbox, "give full access to $($delegate.Account)")) {
            Write-Host "full access to $($delegate.Mailbox) for $($delegate.Account)"
            Add-MailboxPermission -Identity $delegate.Mailbox -User $delegate.Account -AccessRights FullAccess `
                -WarningAction SilentlyContinue | Out-Null
        }
    }
    # Mailboxes that are read by IMAP.
    foreach ($mailbox in $tenant.Imap) {
        if ($PSCmdlet.ShouldProcess($mailbox, 'enable IMAP')) {
            Set-CASMailbox -Identity $mailbox -ImapEnabled $true -WarningAction SilentlyContinue
        }
    }
    # Mailboxes that submit by SMTP. The switch of the mailbox wins over that of the tenant.
    foreach ($mailbox in $tenant.Smtp) {
        if ($PSCmdlet.ShouldProcess($mailbox, 'enable SMTP submission')) {
            Set-CASMailbox -Identity $mailbox -SmtpClientAuthenticationDisabled $false -WarningAction SilentlyContinue
        }
    }
    # Mailboxes that send as another address.
    foreach ($pair in $tenant.SendAs) {
        if ($PSCmdlet.ShouldProcess($pair.Address, "let $($pair.Mailbox) send as it")) {
            Write-Host "$($pair.Mailbox) may send as $($pair.Address)"
            Add-RecipientPermission -Identity $pair.Address -Trustee $pair.Mailbox -AccessRights SendAs `
                -Confirm:$false -WarningAction SilentlyContinue | Out-Null
        }
    }
    Disconnect-ExchangeOnline -Confirm:$false
    Disconnect-MgGraph | Out-Null
}
$next = @($Tenants | ForEach-Object { $_.Apps } | Where-Object { $_.Create -and $_.Create.Line })
if ($next) {
    Write-Host 'Now add the server, on the machine where queuemail runs:'
    $next | ForEach-Object { Write-Host "  $($_.Create.Line)" }
    Write-Host 'Then add its queues (queuemail queue add), and run the script that queuemail setup-script prints.'
}
Write-Host 'Done. Exchange needs up to an hour to apply it; then: queuemail check'
